"""Pictures: every format comes out right or not at all."""

import io
import os
import struct
import threading
import zlib

import numpy as np
import pytest

from modtrans_core.embed.sources import pictures
from modtrans_core.embed.sources.opening import FileWithin
from modtrans_core.embed.sources.pictures import LARGE, LONGEST, MEGAPIXELS, read_picture

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL")  # pytest undoes the filter that the module sets

RAMP = np.arange(256, dtype=np.uint8)


def saved(picture, format, **options):
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def scene(height=96, width=160, seed=0):
    """Smooth colours, so that what JPEG loses is little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def png(width, height, depth, colour, rows):
    """A PNG written by hand (ISO/IEC 15948), for what Pillow cannot write."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_path_bytes_array_and_function_give_the_same(tmp_path):
    pixels = np.array(scene())
    data = saved(scene(), "PNG")
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    for value in (path, str(path), data, bytearray(data), pixels, lambda: data, lambda: path, lambda: pixels):
        read = read_picture(value)
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_is_cut_short_anywhere_is_never_half_a_picture(progressive):
    data = saved(scene(), "JPEG", progressive=progressive)
    whole = read_picture(data)
    reasons = set()
    for length in range(1, len(data)):
        try:
            np.testing.assert_array_equal(read_picture(data[:length]), whole)
        except ValueError as error:
            reasons.add(str(error))
    assert reasons == {"not a picture", "damaged picture"}
    with pytest.raises(ValueError, match="^damaged picture$"):
        read_picture(data[: len(data) // 2])


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_other_formats_cut_short(format):
    data = saved(scene(), format)
    for length in (len(data) // 4, len(data) // 2, len(data) * 9 // 10):
        with pytest.raises(ValueError, match="^damaged picture$|^not a picture$"):
            read_picture(data[:length])


def test_cmyk_comes_out_in_its_colours():
    """Pillow writes CMYK as Adobe does, inverted, with Adobe's mark."""
    for rgb in [(255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (240, 200, 40)]:
        picture = Image.new("RGB", (32, 32), rgb)
        data = saved(picture.convert("CMYK"), "JPEG", quality=95)
        assert b"Adobe" in data
        assert np.abs(read_picture(data).astype(int) - rgb).max() <= 6


def test_sixteen_bits_are_scaled_and_not_clipped():
    values = np.array([[0, 257, 32_896, 65_535, 300, 12_850]], dtype=np.uint16)
    expected = [0, 1, 128, 255, 1, 50]
    read = read_picture(saved(Image.fromarray(values), "PNG"))
    assert read[0].tolist() == [[v] * 3 for v in expected]
    tiff = read_picture(saved(Image.fromarray(values), "TIFF"))
    np.testing.assert_array_equal(tiff, read)
    colours = np.array([[[65_535, 0, 32_896]]], dtype=">u2")
    assert read_picture(png(1, 1, 16, 2, [colours.tobytes()]))[0, 0].tolist() == [255, 0, 128]
    transparent = np.array([[[65_535, 0, 0, 0]]], dtype=">u2")
    assert read_picture(png(1, 1, 16, 6, [transparent.tobytes()]))[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_that_may_be_anything_are_refused(mode):
    data = saved(Image.new(mode, (4, 4), 3), "TIFF")
    with pytest.raises(ValueError, match="^pixels without a known range$"):
        read_picture(data)


def test_transparent_parts_are_white():
    half = np.zeros((2, 2, 4), dtype=np.uint8)
    half[0] = [255, 0, 0, 255]
    half[1] = [[0, 0, 0, 0], [0, 0, 0, 128]]
    expected = [[[255, 0, 0], [255, 0, 0]], [[255, 255, 255], [127, 127, 127]]]
    assert read_picture(saved(Image.fromarray(half), "PNG")).tolist() == expected
    grey = Image.fromarray(half[1:]).convert("LA")
    assert read_picture(saved(grey, "PNG")).tolist() == expected[1:]

    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 0, 255, 0])
    palette.putdata([0, 1])
    assert read_picture(saved(palette, "PNG", transparency=0)).tolist() == [[[255] * 3, [0, 255, 0]]]
    assert read_picture(saved(palette, "GIF", transparency=0)).tolist() == [[[255] * 3, [0, 255, 0]]]
    keyed = Image.new("RGB", (1, 1), (9, 8, 7))
    assert read_picture(saved(keyed, "PNG", transparency=(9, 8, 7))).tolist() == [[[255] * 3]]


def test_grey_palette_and_two_colours():
    grey = Image.fromarray(RAMP.reshape(16, 16))
    for picture in (grey, grey.convert("P")):
        np.testing.assert_array_equal(
            read_picture(saved(picture, "PNG")), np.repeat(RAMP.reshape(16, 16, 1), 3, axis=2)
        )
    assert read_picture(saved(Image.new("1", (3, 2), 1), "PNG")).tolist() == [[[255] * 3] * 3] * 2


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    data = saved(frames[0], format, save_all=True, append_images=frames[1:], duration=100)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert np.abs(read_picture(data).astype(int) - [255, 0, 0]).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation):
    """Each orientation is what the standard says of row 0 and column 0 (EXIF 2.3, tag 0x0112)."""
    upright = np.array(scene(16, 24))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = read_picture(saved(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif.tobytes()))
    np.testing.assert_array_equal(read, upright)


def test_damaged_exif_says_nothing():
    data = saved(scene(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\xffgarbage", quality=95)
    np.testing.assert_array_equal(read_picture(data), read_picture(saved(scene(), "JPEG", quality=95)))


def test_a_large_jpeg_is_halved_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(pictures, "LARGE", 0.005)  # megapixels
    picture = scene(96, 160)
    read = read_picture(saved(picture, "JPEG", quality=95))
    assert read.shape == (48, 80, 3)
    assert np.abs(read.astype(int) - np.array(picture.reduce(2))).mean() < 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "1", "I;16"])
def test_other_large_pictures_are_averaged(monkeypatch, mode):
    if mode == "I;16":
        grey = np.array(scene(97, 161).convert("L"))
        picture, expected = Image.fromarray(grey.astype(np.uint16) * 257), Image.fromarray(grey).convert("RGB")
    else:
        picture = scene(97, 161).convert(mode)
        expected = picture.convert("RGB")
    data = saved(picture, "PNG")
    monkeypatch.setattr(pictures, "LARGE", 0.002)
    monkeypatch.setattr(pictures, "_ROWS", 8)
    np.testing.assert_array_equal(read_picture(data), np.array(expected.reduce(3)))


def test_large_pictures_wait_for_one_another(monkeypatch):
    monkeypatch.setattr(pictures, "LARGE", 0.001)
    decode, inside, most = pictures._decoded, [], []

    def counted(*arguments):
        inside.append(1)
        most.append(len(inside))
        result = decode(*arguments)
        inside.pop()
        return result

    monkeypatch.setattr(pictures, "_decoded", counted)
    data = saved(scene(400, 600), "PNG")
    threads = [threading.Thread(target=read_picture, args=(data,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 8 and max(most) == 1


def test_a_picture_of_100_megapixels(tmp_path):
    path = tmp_path / "large.jpg"
    Image.new("L", (10_000, 10_000), 77).save(path)
    read = read_picture(path)
    assert read.shape == (2500, 2500, 3) and read.size / 3 <= LARGE * 1e6
    assert np.abs(read.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("side", [14_000, 40_000])
def test_a_decompression_bomb_is_not_decoded(side):
    """Both sides of Pillow's own limit; 40,000 x 40,000 would be 6 GB."""
    bomb = png(side, side, 8, 2, [bytes(3)])
    with pytest.raises(ValueError, match=f"^picture over {MEGAPIXELS} megapixels$"):
        read_picture(bomb)


def test_a_thread_of_pixels_is_refused():
    thread = Image.new("L", (LONGEST + 1, 1))
    with pytest.raises(ValueError, match=f"^picture over {LONGEST} times as long as wide$"):
        read_picture(saved(thread, "PNG"))
    assert read_picture(saved(thread.crop((0, 0, LONGEST, 1)), "PNG")).shape == (1, LONGEST, 3)


def test_what_is_no_picture_is_named(tmp_path):
    (tmp_path / "text.jpg").write_text("a dog runs")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "eps.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    for name, reason in {
        "text.jpg": "not a picture",
        "eps.jpg": "not a picture",  # Pillow would start Ghostscript
        "empty.jpg": "empty file",
        "folder.jpg": "not a file",
        "pipe.jpg": "not a file",
        "loop.jpg": "unreadable file",
        "missing.jpg": "missing file",
        "text.jpg/inside.jpg": "missing file",
        "x" * 300: "unreadable file",
    }.items():
        with pytest.raises(ValueError, match=f"^{reason}$"):
            read_picture(tmp_path / name)
    for value, reason in [
        (b"", "empty file"),
        (b"\xff\xd8\xff", "not a picture"),
        (3, "not a path"),
        (None, "not a path"),
        ("a\0b", "not a path"),
        (np.zeros((0, 4, 3), np.uint8), "empty picture"),
    ]:
        with pytest.raises(ValueError, match=f"^{reason}$"):
            read_picture(value)
    for array in (np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(ValueError, match=r"uint8 of shape \(h, w, 3\) is needed"):
            read_picture(array)


def test_no_permission(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(saved(scene(), "PNG"))
    path.chmod(0)
    was = os.geteuid()
    read_picture(saved(scene(), "PNG"))  # Pillow is loaded while everything may be read
    try:
        if was == 0:
            os.seteuid(65_534)
        with pytest.raises(ValueError, match="^no permission$"):
            read_picture(path)
    finally:
        os.seteuid(was)


def test_a_link_may_lead_about_in_the_folder_but_not_out(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "inside-not"
    for folder in (inside / "deep", outside):
        folder.mkdir(parents=True)
        (folder / "picture.png").write_bytes(saved(scene(), "PNG"))
    (inside / "link.png").symlink_to(inside / "deep" / "picture.png")
    (inside / "out.png").symlink_to(outside / "picture.png")
    (inside / "out").symlink_to(outside)
    (tmp_path / "folder").symlink_to(inside)
    for folder in (inside, tmp_path / "folder"):
        for name in ("deep/picture.png", "link.png"):
            assert read_picture(FileWithin(str(folder), name)).shape == (96, 160, 3)
        for name in ("out.png", "out/picture.png", "../inside-not/picture.png", str(outside / "picture.png")):
            with pytest.raises(ValueError, match="^outside the folder$"):
                read_picture(FileWithin(str(folder), name))
