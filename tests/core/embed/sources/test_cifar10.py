"""CIFAR-10: both versions give the same, and no pickle runs anything."""

import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from modtrans_core.embed.sources import load_source
from modtrans_core.embed.sources.cifar_batches import BATCHES, CLASSES

RECORDS = 5  # a batch


@pytest.fixture(scope="module")
def batches():
    """Pixels as they are on disk, channel after channel, and labels."""
    rng = np.random.default_rng(0)
    return {name: (rng.integers(0, 256, (RECORDS, 3072), np.uint8), rng.integers(0, 10, RECORDS)) for name in BATCHES}


class Python2(pickle._Pickler):
    """Writes text and bytes as Python 2's `str`, as the published batches were written."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_str(self, value):
        value = value.encode("latin-1") if isinstance(value, str) else value
        self.write(b"T" + len(value).to_bytes(4, "little") + value)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_str


def python2(value):
    file = io.BytesIO()
    Python2(file, protocol=2).dump(value)
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def binary_files(batches):
    return {
        f"{name}.bin": np.column_stack([labels.astype(np.uint8), pixels]).tobytes()
        for name, (pixels, labels) in batches.items()
    }


def python_files(batches):
    return {
        name: python2(
            {
                "batch_label": f"batch {name}",
                "labels": labels.tolist(),
                "data": pixels,
                "filenames": [f"{number}.png" for number in range(RECORDS)],
            }
        )
        for name, (pixels, labels) in batches.items()
    }


VERSIONS = {"bin": ("binary", binary_files), "py": ("python", python_files)}


def write(folder, files):
    folder.mkdir(parents=True)
    for name, contents in files.items():
        (folder / name).write_bytes(contents)
    return folder


def archive(path, folder, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, contents in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(contents)
            tar.addfile(info, io.BytesIO(contents))
    return path


def items(path, **arguments):
    return [item for shard in load_source(f"cifar10:{path}", **arguments).shards(7) for item in shard.read()]


def check(found, batches):
    assert [item.key for item in found] == [f"{name}/{number:05d}" for name in BATCHES for number in range(RECORDS)]
    for item in found:
        name, number = item.key.split("/")
        pixels, labels = batches[name][0][int(number)], batches[name][1]
        image = item.values["image"]
        assert (image.shape, image.dtype) == ((32, 32, 3), np.uint8)
        # The format's own words: the first 1024 bytes are the red channel, row by row.
        for channel in range(3):
            np.testing.assert_array_equal(image[..., channel].ravel(), pixels[1024 * channel : 1024 * (channel + 1)])
        assert item.values["text"] == (f"a photo of a {CLASSES[labels[int(number)]]}.",)
        assert item.split == ("test" if name == "test_batch" else "train") and item.group == -1
        assert item.label == labels[int(number)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("form", ["folder", "parent", "archive", "folder of archive"])
def test_every_form_is_read(tmp_path, batches, version, form):
    word, files = VERSIONS[version]
    if "archive" in form:
        path = archive(tmp_path / f"cifar-10-{word}.tar.gz", f"cifar-10-batches-{version}", files(batches))
    else:
        path = write(tmp_path / f"cifar-10-batches-{version}", files(batches))
    check(items(tmp_path if form in ("parent", "folder of archive") else path), batches)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_binary_version_is_preferred(tmp_path, batches):
    write(tmp_path / "cifar-10-batches-py", dict.fromkeys(BATCHES, b"not read"))
    write(tmp_path / "cifar-10-batches-bin", binary_files(batches))
    check(items(tmp_path), batches)


def test_batches_that_are_not_there_are_named(tmp_path, batches):
    path = write(tmp_path / "cifar-10-batches-bin", binary_files(batches))
    (path / "data_batch_2.bin").unlink()
    with pytest.warns(UserWarning, match=f"^{path}: without data_batch_2; what is there is taken$"):
        assert len(items(path)) == 5 * RECORDS


def test_templates(tmp_path, batches):
    path = write(tmp_path / "cifar-10-batches-bin", binary_files(batches))
    (tmp_path / "templates.txt").write_text("a {}\n\n  the {} {here} \n")
    word = CLASSES[batches["data_batch_1"][1][0]]

    def texts(templates):
        return items(path, settings={"templates": templates})[0].values["text"]

    assert texts("a blurry {}.|art of the {}") == (f"a blurry {word}.", f"art of the {word}")
    assert texts(str(tmp_path / "templates.txt")) == (f"a {word}", f"the {word} {{here}}")
    with pytest.raises(ValueError, match=r"^templates: 'a photo': '\{\}' for the class is needed"):
        texts("a photo")
    with pytest.raises(ValueError, match=r"^templates: 'a \{\}\|': '\{\}' for the class is needed"):
        texts("a {}|")


def test_a_limit_and_identity(tmp_path, batches):
    path = write(tmp_path / "cifar-10-batches-bin", binary_files(batches))
    assert len(items(path, limit=4)) == 4
    assert load_source(f"cifar10:{path}").facts["items"] == 6 * RECORDS
    identities = {load_source(f"cifar10:{path}", limit).identity() for limit in (None, 4, None)}
    assert len(identities) == 2


class Runs:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_runs_nothing(tmp_path, protocol):
    trace = tmp_path / "ran"
    contents = pickle.dumps({"data": Runs(trace), "labels": []}, protocol=protocol)
    path = write(tmp_path / "cifar-10-batches-py", {"data_batch_1": contents})
    with pytest.raises(ValueError, match=r"data_batch_1: not a batch .*names (posix|nt)\.system, which is refused"):
        items(path)
    assert not trace.exists()
    pickle.loads(contents)  # the pickle does work where nobody is careful
    assert trace.exists()


@pytest.mark.parametrize(
    "call",
    [
        b"cbuiltins\neval\n",
        b"c__builtin__\neval\n",
        b"cnumpy.core.multiarray\nfromfile\n",
        b"cnumpy\nload\n",
        b"cnumpy\nndarray.tofile\n",
        b"ccopyreg\n_reconstructor\n",
    ],
)
def test_no_other_name_is_known(tmp_path, call):
    path = write(tmp_path / "py", {"data_batch_1": call + b"(S'1'\ntR."})
    with pytest.raises(ValueError, match="which is refused"):
        items(path)


def objects():
    return np.array([[1, "two"]], dtype=object)


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"\x80\x02}",
        b"\x80\x02]q\x00.",
        python2({"data": np.zeros((2, 3072)), "labels": [1, 2]}),
        python2({"data": objects(), "labels": [1]}),
        python2({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}),
        python2({"data": np.zeros((2, 3071), np.uint8), "labels": [1, 2]}),
        python2({"data": np.zeros((2, 3072), np.uint8), "labels": [1, -2]}),
        python2({"data": np.zeros((2, 3072), np.uint8), "labels": [[1], 2]}),
        python2({"data": np.zeros((1, 3072), np.uint8), "labels": ["cat"]}),
        python2({"labels": [1, 2]}),
        b"\x80\x02" + b"(" * 10_000,
    ],
)
def test_damaged_python_batches(tmp_path, contents):
    path = write(tmp_path / "cifar-10-batches-py", {"data_batch_3": contents})
    with pytest.raises(ValueError, match=r"data_batch_3: not a batch of CIFAR-10 \(.+\)$"):
        items(path)


def test_labels_beyond_the_classes(tmp_path):
    for number, label in enumerate((10, 300)):
        contents = python2({"data": np.zeros((1, 3072), np.uint8), "labels": [label]})
        with pytest.raises(ValueError, match=r"label \d+, one from 0 to 9 is needed$"):
            items(write(tmp_path / str(number), {"data_batch_1": contents}))


def test_other_damage(tmp_path, batches):
    files = binary_files(batches)
    files["data_batch_2.bin"] = files["data_batch_2.bin"][:-1]
    with pytest.raises(ValueError, match=r"data_batch_2\.bin: 15,364 bytes, a multiple of 3,073 is needed$"):
        items(write(tmp_path / "cut", files))
    with pytest.raises(ValueError, match=r"no data_batch_1\.bin or data_batch_1"):
        items(write(tmp_path / "none", {"readme.html": b""}))
    with pytest.raises(ValueError, match="no such file or folder"):
        items(tmp_path / "nowhere")
    whole = archive(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", binary_files(batches)).read_bytes()
    for cut in (0, 100, len(whole) // 2):
        (tmp_path / "cifar-10-binary.tar.gz").write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="damaged tar|bytes, a multiple of"):
            items(tmp_path / "cifar-10-binary.tar.gz")
