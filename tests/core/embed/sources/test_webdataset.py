"""webdataset tars: as img2dataset writes them, and as nobody should."""

import io
import json
import os
import pickle
import stat
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from modtrans_core.embed.sources import Item, Skipped, load_source
from modtrans_core.embed.sources.opening import ZipFiles
from modtrans_core.embed.sources.reading import read


def jpeg(shade=128):
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(file, "JPEG")
    return file.getvalue()


def write_tar(path, members, mode="w"):
    """Members: (name, bytes) pairs, or whole `TarInfo`s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return path


def downloaded(key, caption, status="success", **more):
    """The members that img2dataset writes for one row; of a failed one there is the record alone."""
    record = json.dumps({"key": key, "caption": caption, "status": status, **more}).encode()
    if status != "success":
        return [(f"{key}.json", record)]
    return [(f"{key}.jpg", jpeg()), (f"{key}.txt", caption.encode()), (f"{key}.json", record)]


def entries(path, **arguments):
    source = load_source(f"webdataset:{path}", **arguments)
    return [entry for shard in source.shards(100) for entry in shard.read()]


def keys(path, **arguments):
    return [entry.key for entry in entries(path, **arguments) if isinstance(entry, Item)]


def skipped(path, **arguments):
    return {entry.key: entry.reason for entry in entries(path, **arguments) if isinstance(entry, Skipped)}


@pytest.fixture()
def cc3m(tmp_path):
    """Three tars of four rows, the second row of each failed."""
    for shard in range(3):
        rows = [f"{shard:05d}{row:04d}" for row in range(4)]
        members = [
            member
            for row, key in enumerate(rows)
            for member in downloaded(key, f"picture {key}", "success" if row != 1 else "failed_to_download")
        ]
        write_tar(tmp_path / "cc3m" / f"{shard:05d}.tar", members)
        (tmp_path / "cc3m" / f"{shard:05d}.parquet").write_bytes(b"beside every tar")
        (tmp_path / "cc3m" / f"{shard:05d}_stats.json").write_text("{}")
    return tmp_path / "cc3m"


def test_img2dataset_folder(cc3m):
    source = load_source(f"webdataset:{cc3m}")
    shards = source.shards(100)
    assert [shard.name for shard in shards] == ["000000-00000", "000001-00001", "000002-00002"]
    assert source.facts["tars"] == 3 and source.facts["bytes"] == sum(f.stat().st_size for f in cc3m.glob("*.tar"))
    assert set(source.encoders) == {"image", "text"}
    first = list(shards[0].read())
    assert [entry.key for entry in first] == [f"00000/00000{row:04d}" for row in range(4)]
    assert first[1] == Skipped("00000/000000001", "not downloaded")
    assert first[0].values["text"] == "picture 000000000"
    assert read("image", first[0].values["image"]).shape == (8, 8, 3)
    assert first == list(pickle.loads(pickle.dumps(shards[0])).read())  # a shard may be read in another process


@pytest.mark.parametrize("pattern", ["{00000..00002}.tar", "*.tar", "{00000,00001}*.tar", "0000[12].tar"])
def test_patterns(cc3m, pattern):
    tars = [shard.name[-5:] for shard in load_source(f"webdataset:{cc3m}/{pattern}").shards(1)]
    expected = {"{00000,00001}*.tar": ["00000", "00001"], "0000[12].tar": ["00001", "00002"]}
    assert tars == expected.get(pattern, ["00000", "00001", "00002"])


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{0..20}-{0..99999}.tar", r"'2,100,000 names', a pattern of at most 1,000,000 is needed$"),
        ("{00000..00009}.tar", r"00003\.tar: no such tar \(7 of 10 are missing\)$"),
        ("nothing-*.tar", r"nothing-\*\.tar: no such tar$"),
        ("00009.tar", r"00009\.tar: no such tar$"),
        ("empty", r"empty: a folder with no \.tar or"),
        ("pipe:cat 00000.tar", r"no such tar$"),
    ],
)
def test_tars_that_are_not_there(cc3m, pattern, message):
    (cc3m / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        load_source(f"webdataset:{cc3m}/{pattern}")


@pytest.mark.parametrize("limit", [1, 3, 4, 7, 9, 100])
def test_a_limit_takes_the_first_items(cc3m, limit):
    assert keys(cc3m, limit=limit) == keys(cc3m)[:limit]
    assert len(load_source(f"webdataset:{cc3m}", limit=limit).shards(1)) == min(3, -(-limit // 3))
    with pytest.raises(ValueError, match="limit: 0, at least 1 is needed"):
        load_source(f"webdataset:{cc3m}", limit=0)


def test_identity_changes_with_what_is_held(cc3m):
    def identity(**arguments):
        return load_source(f"webdataset:{cc3m}", **arguments).identity()

    found = {identity(), identity(limit=2), identity(limit=3), identity(settings={"caption": "alt"})}
    assert len(found) == 4 and identity() in found
    write_tar(cc3m / "00002.tar", downloaded("9", "another"))
    assert identity() not in found


def test_captions_from_the_record(tmp_path):
    rows = [
        *downloaded("0", "short", long="a long one", several=["one", "two "]),
        *downloaded("1", "short", long="", several=["one", ""]),
        *downloaded("2", "short", several=[]),
        ("3.jpg", jpeg()),
        ("3.txt", b"text alone"),
    ]
    tar = write_tar(tmp_path / "0.tar", rows)

    def texts(**settings):
        return [
            entry.values["text"] if isinstance(entry, Item) else entry.reason
            for entry in entries(tar, settings=settings)
        ]

    assert texts() == ["short", "short", "short", "text alone"]
    assert texts(caption="long") == [("a long one",), "empty caption", "no caption", "no caption"]
    assert texts(caption="several") == [("one", "two"), "empty caption", "no caption", "no caption"]


def test_a_byte_order_mark_is_none_of_a_caption(tmp_path):
    write_tar(tmp_path / "0.tar", [("1.jpg", jpeg()), ("1.txt", "\ufeffa cat".encode())])
    assert [entry.values["text"] for entry in entries(tmp_path)] == ["a cat"]


def test_the_field_caption_stands_in_for_the_text(tmp_path):
    tar = write_tar(tmp_path / "0.tar", [("0.png", jpeg()), ("0.json", b'{"caption": "from the record"}')])
    assert entries(tar)[0].values["text"] == ("from the record",)


def test_sounds(tmp_path):
    tar = write_tar(
        tmp_path / "0.tar", [("a.flac", b"fLaC"), ("a.json", b'{"text": ["rain", "water"]}'), ("b.txt", b"x")]
    )
    source = load_source(f"webdataset:{tar}", settings={"caption": "text"})
    assert set(source.encoders) == {"audio", "text"}
    assert list(source.shards(1)[0].read()) == [
        Item("0/a", {"audio": b"fLaC", "text": ("rain", "water")}),
        Skipped("0/b", "no sound"),
    ]


def test_a_link_out_of_the_folder_is_followed_where_it_is_named(cc3m, tmp_path):
    (tmp_path / "links").mkdir()
    for tar in cc3m.glob("*.tar"):
        (tmp_path / "links" / tar.name).symlink_to(tar)
    with pytest.raises(ValueError, match="links/00000.tar: leads out of .*; a pattern names any, .*links/.$"):
        load_source(f"webdataset:{tmp_path}/links")
    named, held = (load_source(f"webdataset:{path}") for path in (f"{tmp_path}/links/*", cc3m))
    assert named.identity() == held.identity()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"


@pytest.mark.parametrize("source", ["webdataset:{}/set", "iconify:{}/set/0.tar", "datasets:{}/set"])
def test_what_is_no_file_is_not_waited_for(tmp_path, source):
    name = "train.parquet" if source.startswith("datasets") else "0.tar"
    file = tmp_path / "set" / name
    file.parent.mkdir()
    os.mkfifo(file)
    with pytest.raises(ValueError, match=f"{name}: a pipe or a device, a file is needed"):
        load_source(source.format(tmp_path))
    file.unlink()
    file.write_bytes(POINTER)
    with pytest.raises(ValueError, match=f"{name}: a Git LFS pointer, not the data; run: git lfs pull"):
        load_source(source.format(tmp_path))


def test_a_link_in_a_zip_is_no_picture(tmp_path):
    link = zipfile.ZipInfo("a.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match="^a link in the zip$"):
        ZipFiles(tmp_path / "a.zip")("a.png")()


def test_what_a_sample_may_lack(tmp_path):
    tar = write_tar(
        tmp_path / "0.tar",
        [
            ("a.jpg", jpeg()),
            ("a.txt", b"whole"),
            ("b.jpg", jpeg()),
            ("c.txt", b"no picture"),
            ("d.jpg", jpeg()),
            ("d.txt", b" \n\t "),
            ("e.jpg", jpeg()),
            ("e.txt", "Zürich".encode("latin-1")),
            ("f.jpg", jpeg()),
            ("f.json", b'{"caption": "\\ud800"}'),
            ("g.jpg", jpeg()),
            ("g.json", b'{"caption": '),
            ("h.jpg", jpeg()),
            ("h.json", b"[" * 100_000),
            ("i.jpg", jpeg()),
            ("i.json", b'{"caption": null}'),
            ("j.seg.png", jpeg()),
            ("j.txt", b"only a mask"),
        ],
    )
    assert keys(tar) == ["0/a"]
    assert skipped(tar) == {
        "0/b": "no caption",
        "0/c": "no picture",
        "0/d": "empty caption",
        "0/e": "caption is not UTF-8",
        "0/f": "caption is not UTF-8",
        "0/g": "damaged record",
        "0/h": "damaged record",
        "0/i": "no caption",
        "0/j": "no picture",
    }


def test_names_that_lead_out(tmp_path):
    names = ["../../x", "/etc/x", "a/../x", "deep\\x", "./fine", "deep/er/fine", "new\nline"]
    members = [member for name in names for member in ((f"{name}.jpg", jpeg()), (f"{name}.txt", b"caption"))]
    tar = write_tar(tmp_path / "in" / "0.tar", members)
    assert keys(tar) == ["0/fine", "0/deep/er/fine"]
    assert set(skipped(tar).values()) == {
        "a member's name leads out of the tar",
        "a member's name is not printable UTF-8",
    }
    assert len(skipped(tar)) == 5
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "0.tar"]


def test_names_that_are_not_utf8(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as tar:
        for name, contents in (("Zürich.jpg", jpeg()), ("Zürich.txt", b"caption"), ("b.jpg", jpeg()), ("b.txt", b"b")):
            info = tarfile.TarInfo(name)
            info.size = len(contents)
            tar.addfile(info, io.BytesIO(contents))
    assert keys(tmp_path / "0.tar") == ["0/b"]
    assert skipped(tmp_path / "0.tar") == {"0/Z?rich": "a member's name is not printable UTF-8"}


def test_links_devices_and_folders_are_no_members(tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(jpeg())
    odd = []
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
        info = tarfile.TarInfo(f"odd{kind.decode()}.jpg")
        info.type, info.linkname = kind, str(secret)
        odd += [info, (f"odd{kind.decode()}.txt", b"caption")]
    tar = write_tar(tmp_path / "0.tar", [("a.jpg", jpeg()), ("a.txt", b"a"), *odd])
    assert keys(tar) == ["0/a"]
    assert set(skipped(tar).values()) == {"no picture"} and len(skipped(tar)) == 5


def test_duplicate_keys_and_keys_torn_apart(tmp_path):
    """The first of a key is taken; what follows under its name elsewhere is not put together with it."""
    tar = write_tar(
        tmp_path / "0.tar",
        [
            ("a.jpg", jpeg(1)),
            ("a.txt", b"first"),
            ("a.jpg", jpeg(2)),
            ("a.txt", b"second"),
            ("b.jpg", jpeg()),
            ("c.jpg", jpeg()),
            ("c.txt", b"c"),
            ("b.txt", b"apart"),
        ],
    )
    found = entries(tar)
    assert found[0] == Item("0/a", {"image": jpeg(1), "text": "first"})
    assert found[1:3] == [Skipped("0/a", "duplicate key"), Skipped("0/b", "no caption")]
    assert found[3].key == "0/c" and found[4:] == [Skipped("0/b", "duplicate key")]


def test_tars_of_one_name_are_told_apart(tmp_path):
    for folder in ("train", "val"):
        write_tar(tmp_path / folder / "0.tar", downloaded("7", folder))
    assert keys(f"{tmp_path}/*/0.tar") == ["train/0.tar/7", "val/0.tar/7"]


def test_a_member_beyond_the_limit_is_not_read(tmp_path, monkeypatch):
    from modtrans_core.embed.sources import webdataset

    monkeypatch.setitem(webdataset._LARGEST, "jpg", 1 << 20)
    large = bytes((1 << 20) + 1)
    tar = write_tar(tmp_path / "0.tar", [("a.jpg", large), ("a.txt", b"a"), ("b.jpg", jpeg()), ("b.txt", b"b")])
    assert keys(tar) == ["0/b"] and skipped(tar) == {"0/a": "a .jpg of more than 1 MiB"}


def test_an_impossible_header_is_not_believed(tmp_path):
    """A pax header that says it has gigabytes would be read into memory whole."""
    info = tarfile.TarInfo("a.jpg")
    info.type, info.size = tarfile.XHDTYPE, 8 << 30
    good = write_tar(tmp_path / "good.tar", downloaded("0", "zero")).read_bytes().rstrip(b"\0")
    padding = bytes(-len(good) % 512)
    (tmp_path / "0.tar").write_bytes(good + padding + info.tobuf(tarfile.GNU_FORMAT) + bytes(5000))
    assert keys(tmp_path / "0.tar") == ["0/0"] and skipped(tmp_path / "0.tar") == {"0.tar": "damaged tar"}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_cut_anywhere_gives_what_comes_before(tmp_path, mode):
    """Wherever it is cut: items are a prefix of the whole, the damage is reported once, and both again the same."""
    rows = [member for row in range(4) for member in downloaded(f"{row}", f"caption {row}")]
    whole = write_tar(tmp_path / "whole" / "0.tar", rows, mode)
    expected, data = entries(whole), whole.read_bytes()
    ends = len(data) if mode == "w:gz" else data.rstrip(b"\0").__len__() + 512
    counts = set()
    for cut in np.linspace(600 if mode == "w" else 100, ends - 1, 60).astype(int).tolist():
        tar = tmp_path / "cut" / "0.tar"
        tar.parent.mkdir(exist_ok=True)
        tar.write_bytes(data[:cut])
        try:
            found = entries(tar)
        except ValueError as error:  # nothing of it can be used
            assert "no tar here holds a picture or sound" in str(error)
            continue
        assert found == entries(tar)
        if found == expected:  # cut behind the tar's end mark, in gzip's trailer: nothing is lost
            assert mode == "w:gz" and cut > 0.9 * len(data)
            continue
        assert found[-1] == Skipped("0.tar", "damaged tar")
        items = [entry for entry in found if isinstance(entry, Item)]
        assert [item.key for item in items] == [item.key for item in expected[: len(items)]]
        assert [item.values["image"] for item in items] == [item.values["image"] for item in expected[: len(items)]]
        counts.add(len(items))
    assert counts >= {0, 1, 2, 3} or mode == "w:gz"


def test_garbage_in_the_middle_is_not_taken_for_the_end(tmp_path):
    rows = [member for row in range(6) for member in downloaded(f"{row}", f"caption {row}")]
    data = bytearray(write_tar(tmp_path / "0.tar", rows).read_bytes())
    header = data.index(b"3.jpg")
    data[header : header + 512] = b"\xff" * 512
    (tmp_path / "0.tar").write_bytes(data)
    assert keys(tmp_path / "0.tar") == ["0/0", "0/1", "0/2"]
    assert skipped(tmp_path / "0.tar") == {"0.tar": "damaged tar"}


def test_one_damaged_tar_does_not_stop_the_others(cc3m):
    (cc3m / "00000.tar").write_bytes(b"")
    (cc3m / "00001.tar").write_bytes(b"<html>404 not found</html>" * 100)
    assert keys(cc3m) == ["00002/000020000", "00002/000020002", "00002/000020003"]
    assert {key: reason for key, reason in skipped(cc3m).items() if key.endswith(".tar")} == {
        "00000.tar": "damaged tar",
        "00001.tar": "damaged tar",
    }
    assert keys(cc3m, limit=2) == ["00002/000020000", "00002/000020002"]


def test_a_gzipped_tar_reads_the_same(tmp_path):
    plain = write_tar(tmp_path / "plain" / "0.tar", downloaded("a", "caption"))
    zipped = write_tar(tmp_path / "zipped" / "0.tar.gz", downloaded("a", "caption"), "w:gz")
    assert entries(plain) == entries(zipped) == entries(zipped.parent)


def test_no_tar_with_a_picture_is_one_line(tmp_path):
    write_tar(tmp_path / "0.tar", [("a.txt", b"alone")])
    (tmp_path / "1.tar").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no tar here holds a picture or sound \(jpg, .*\), 2 read$"):
        load_source(f"webdataset:{tmp_path}")


def test_webdataset_itself_groups_the_same(cc3m):
    """The library that the format is named after, as an oracle."""
    wds = pytest.importorskip("webdataset")
    urls = [str(path) for path in sorted(cc3m.glob("*.tar"))]
    theirs = [
        (sample["__key__"], sample["jpg"], sample["txt"].decode())
        for sample in wds.WebDataset(urls, shardshuffle=False)
        if "jpg" in sample
    ]
    ours = [
        (entry.key.split("/")[1], entry.values["image"], entry.values["text"])
        for entry in entries(cc3m)
        if isinstance(entry, Item)
    ]
    assert ours == theirs


def test_memory_does_not_grow_with_the_tar(tmp_path):
    import tracemalloc

    picture = bytes(1 << 18)
    rows = [member for row in range(200) for member in ((f"{row}.jpg", picture), (f"{row}.txt", b"caption"))]
    tar = write_tar(tmp_path / "0.tar", rows)
    shard = load_source(f"webdataset:{tar}").shards(1)[0]
    next(iter(shard.read()))  # what is imported by then is not of the tar
    tracemalloc.start()
    count, peak = sum(1 for _ in shard.read()), tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 200 and peak < 4 << 20 < tar.stat().st_size
