# ruff: noqa: E501 (a list of values is one line)
"""What is done to a file or to the arguments of a verb, each a function of a random generator and nothing else."""

import contextlib
import io
import json
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np

JUNK = [
    None,
    True,
    False,
    0,
    3,
    -1,
    1.5,
    1e308,
    10**30,
    "",
    "x",
    "../x",
    "a\nb",
    "ä\u2028\u0000",
    [],
    {},
    [1],
    {"a": 1},
]
JUNK += [[[]], [None], [["a", 1]], {"image": 3}, "9" * 400, float("nan"), float("inf"), "[" * 30]
TEXTS = [
    "",
    " ",
    "-1",
    "0",
    "1e9",
    "nan",
    "inf",
    "x" * 300,
    "../../x",
    "/nowhere/x",
    "a\tb",
    "é",
    "None",
    "[]",
    "{}",
    "1,2",
]
TEXTS += ["=", "a=b", ".", "..", "poster", "image", "text", "99999999999999999999", "cuda:9", "mps", "float16", "a b"]
KINDS = ["<f4", ">f4", "<f2", "<f8", "<f16", "<i8", "<c8", "|b1", "<U4", "|S3", "|O", "<M8[s]", "|V8", "<u1"]


def one_of(rng, values):
    return values[int(rng.integers(len(values)))]


def bytes_(rng, path):
    """Flip, cut, insert, repeat or remove bytes, anywhere or near the ends, where headers are."""
    data = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 4))):
        near = int(min(len(data), one_of(rng, [16, 200, 10**9])))
        at = int(rng.integers(near + 1)) if rng.random() < 0.7 else len(data) - int(rng.integers(near + 1))
        length = int(one_of(rng, [1, 1, 2, 8, 64, 1000]))
        kind = int(rng.integers(7))
        if kind == 0:
            data[at : at + length] = rng.bytes(length)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = rng.bytes(length)
        elif kind == 4:
            data[at : at + length] = bytes(length)
        elif kind == 5:
            data[at:at] = data[at : at + length]
        else:
            data[at : at + length] = b"\xff" * length
    path.write_bytes(bytes(data))


def other(rng, path):
    """Something else in its place: nothing, a folder, an empty file, a text, a pointer, a link to nowhere."""
    kind = int(rng.integers(7))
    path.unlink()
    if kind == 1:
        path.mkdir()
    elif kind == 2:
        path.write_bytes(b"")
    elif kind == 3:
        path.write_text("a,b\n1,2\n")
    elif kind == 4:
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    elif kind == 5:
        path.symlink_to("nowhere")
    elif kind == 6:
        path.write_bytes(one_of(rng, [b"\x80\x04K\x03.", b"PK\x03\x04", b"\x93NUMPY", b"\x00" * 8, b"PAR1PAR1", b"{}"]))


def permission(rng, path):
    """A mode that may not be read, where that means anything."""
    path.chmod(int(one_of(rng, [0o000, 0o200, 0o400, 0o444])))


def array(rng, vectors=None):
    """An array that may be anything."""
    shape = one_of(
        rng, [(60, 8), (60, 6), (60,), (), (0, 8), (60, 0), (1, 8), (59, 8), (60, 2, 8), (8, 60), (2, 2, 2, 2)]
    )
    kind = one_of(rng, KINDS)
    if kind == "|O":
        return np.array([{}], dtype=object)
    made = rng.normal(size=shape) if vectors is None or rng.random() < 0.5 else np.array(vectors)
    with np.errstate(all="ignore"), contextlib.suppress(ValueError, TypeError, OverflowError):
        if made.size and rng.random() < 0.5:
            made.flat[int(rng.integers(made.size))] = one_of(rng, [np.nan, np.inf, 1e300, 0.0, -1e30])
        if rng.random() < 0.1:
            made = np.zeros_like(made)
        made = (made.real if made.dtype.kind == "c" else made).astype(kind)
    return np.asfortranarray(made) if rng.random() < 0.2 else made


def npy(rng, path):
    """A header that lies, or another array."""
    if rng.random() < 0.5:
        np.save(path, array(rng, np.load(path)), allow_pickle=True)
        return
    shape = one_of(rng, ["(10**9, 8)", "(60, 8)", "(-1, 8)", "(60,)", "()", "(True, 2)", "(1e3, 8)", "(60, 8", "None"])
    kind, by_column = one_of(rng, [*KINDS, "x", "<f3"]), one_of(rng, ["False", "True", "3"])
    text = f"{{'descr': {kind!r}, 'fortran_order': {by_column}, 'shape': {shape}, }}"
    text = text.ljust(one_of(rng, [117, 60, 4000])) + "\n"
    version = one_of(rng, [b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x07\x00"])
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    path.write_bytes(b"\x93NUMPY" + version + length + text.encode() + rng.bytes(200))


def npz(rng, path):
    """Members renamed, replaced, doubled, dropped, or no arrays at all; compressed or not."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for _ in range(int(rng.integers(1, 3))):
        name = one_of(rng, list(arrays) or ["image"])
        found = arrays.pop(name, np.ones((3, 3)))
        new = one_of(
            rng, [name, name, "group", "key", "label", "own_split", "metadata", "image_count", "../x", "é", "file"]
        )
        if rng.random() < 0.85:
            arrays[new] = array(rng, found) if rng.random() < 0.6 else found
    if rng.random() < 0.4:
        arrays["metadata"] = np.array(json.dumps(junk_in(rng, {"independent": ["text"], "image": {"encoder": "A"}})))
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(path, "w", one_of(rng, [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive,
    ):
        warnings.simplefilter("ignore")  # two members of one name
        for name, value in arrays.items():
            file = io.BytesIO()
            np.save(file, value, allow_pickle=True)
            content = file.getvalue() if rng.random() < 0.9 else rng.bytes(50)
            archive.writestr(one_of(rng, [f"{name}.npy"] * 9 + [name]), content)
        if rng.random() < 0.1:
            archive.writestr("image.npy", b"")


def junk_in(rng, value):
    """JSON with one value in it replaced, removed or doubled, or with a key of another name."""
    places = []

    def walk(inside):
        for key in inside if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else ():
            places.append((inside, key))
            walk(inside[key])

    walk(value)
    if not places or rng.random() < 0.05:
        return one_of(rng, JUNK)
    inside, key = one_of(rng, places)
    kind = int(rng.integers(5))
    if kind == 0 and isinstance(inside, dict):
        del inside[key]
    elif kind == 1 and isinstance(inside, dict):
        inside[one_of(rng, ["x", "", "image", "key", "../x"])] = inside.pop(key)
    else:
        inside[key] = one_of(rng, JUNK)
    return value


def json_(rng, path):
    """A value of another type, or text that is no JSON."""
    if rng.random() < 0.2:
        path.write_text(
            one_of(rng, ["", "{", "[" * 5000, "NaN", '{"a": 1', "null", "\ufeff{}", '{"a": ' + "9" * 6000 + "}"])
        )
        return
    value = json.loads(path.read_text())
    for _ in range(int(rng.integers(1, 3))):
        value = junk_in(rng, value)
    path.write_text(json.dumps(value))


def safetensors(rng, path):
    """A header with another value somewhere, or of another length."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if "metadata" in header.get("__metadata__", {}) and rng.random() < 0.3:
        header["__metadata__"]["metadata"] = json.dumps(junk_in(rng, json.loads(header["__metadata__"]["metadata"])))
    else:
        header = junk_in(rng, header)
    if rng.random() < 0.2 and isinstance(header, dict):
        for entry in header.values():
            if isinstance(entry, dict) and "dtype" in entry:
                entry["dtype"] = one_of(rng, ["F16", "F64", "I64", "BF16", "F8_E4M3", "BOOL", "U8", "X"])
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) + int(rng.random() < 0.1) * 7) + text + data[8 + length :])


def parquet(rng, path):
    """Columns of other types, names or lengths."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = pq.read_table(path).num_rows + int(one_of(rng, [0, 0, 0, -1, 5]))
    columns = {}
    for name in ("key", "caption", "image_path"):
        values = one_of(rng, [list(range(n)), [str(i) for i in range(n)], [None] * n, ["a"] * n, [["a", None]] * n,
                              [{"a": 1}] * n, [b"\xff"] * n, [1.5] * n, [[]] * n, [[[1]]] * n])  # fmt: skip
        if rng.random() < 0.7:
            columns[one_of(rng, [name, name, name, "x", "KEY"])] = pa.array(values)
    pq.write_table(pa.table(columns), path)


def lines(rng, path):
    """Lines of a text swapped, doubled, cut or written otherwise."""
    found = path.read_bytes().split(b"\n")
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(found)))
        found[at] = one_of(rng, [b"", b",,,", found[0], found[at][::-1], b'"', b"\xff\xfe", b"../x.png,a", b"/etc/passwd,b",
                                 b"0.png", b"0.png," + b"x" * 200_000, b"\x00", found[at].replace(b",", b"\t")])  # fmt: skip
    path.write_bytes(one_of(rng, [b"\n", b"\r\n", b"\r"]).join(found))


def tar(rng, path):
    """Members of other names, kinds and sizes."""
    with tarfile.open(path) as old:
        members = [(member.name, old.extractfile(member).read()) for member in old.getmembers()]
    with tarfile.open(path, one_of(rng, ["w", "w:gz", "w:bz2"])) as new:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if rng.random() < 0.15:
                info.name = one_of(
                    rng, ["../x.png", "/etc/x.txt", "é.png", "a" * 200 + ".png", ".png", "a.b.c.png", "\n.txt"]
                )
            if rng.random() < 0.1:
                info.type = one_of(
                    rng, [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
                )
                info.linkname = "/etc/passwd"
            if rng.random() < 0.15:
                content = one_of(
                    rng, [b"", b"\xff" * 20, b"[]", b'{"caption": 3}', b'{"status": []}', b"{" * 9, content[:40]]
                )
            if rng.random() < 0.1 and name.endswith("json"):
                content = json.dumps(junk_in(rng, {"caption": "a", "status": "success"})).encode()
            info.size = len(content)
            new.addfile(info, io.BytesIO(content))
    if rng.random() < 0.2:
        bytes_(rng, path)


def folder(rng, path):
    """A file of a folder renamed, copied, gone, or a stranger among them."""
    found = sorted(file for file in path.rglob("*") if file.is_file())
    file = one_of(rng, found)
    kind = int(rng.integers(5))
    if kind == 0:
        file.unlink()
    elif kind == 1:
        file.rename(file.with_name(one_of(rng, ["x", "000009.npz", ".x", f"x{file.suffix}", "embed.json"])))
    elif kind == 2:
        file.with_name(one_of(rng, [f"x{file.suffix}", "zzz.npz", "img_emb_7.npy"])).write_bytes(file.read_bytes())
    elif kind == 3:
        (path / one_of(rng, ["x_emb", "img_emb", "metadata", "x.npz"])).mkdir(exist_ok=True)
    else:
        file.write_bytes(one_of(rng, found).read_bytes())


def of(path: Path):
    """The mutators that a file of this kind can have."""
    if path.is_dir():
        return [folder]
    own = {".npy": npy, ".npz": npz, ".json": json_, ".safetensors": safetensors, ".parquet": parquet, ".csv": lines,
           ".tar": tar, ".jsonl": lines}.get(path.suffix)  # fmt: skip
    return [bytes_, bytes_, other, permission, *([own] * 5 if own else [])]
