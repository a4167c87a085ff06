"""What comes from outside cannot make a verb write, read or delete anything but what it was asked to."""

import json
import os
import shutil
import stat
from dataclasses import replace

import numpy as np
import pytest
import torch

from modtrans_core import PairedEmbeddings
from modtrans_core.cli.verb import added_up, run
from modtrans_core.embed.engine.job import Folder
from modtrans_core.embed.sources import Item, load_source
from modtrans_core.embed.sources.reading import read
from modtrans_core.store.files import replacing_folder, write_npy


@pytest.fixture
def ridge(folder, trained):
    trained("run", "--preset", "ridge")
    return folder / "run"


IN_FILES = ("group", "file", "allow_pickle")
IN_METADATA = ("captions", "classes", "dataset", "independent", "job")


def lines(err):
    return [line for line in err.splitlines() if line]


@pytest.mark.parametrize(
    "name", ["../victim/x", "/tmp/victim", "a/b", "", "x" * 65, "-x", "tëxt", "x_count", *IN_FILES, *IN_METADATA]
)
def test_a_set_or_a_run_with_another_name_than_a_plain_one_is_refused(folder, modtrans, ridge, name):
    (folder / "victim").mkdir()
    (folder / "victim" / "x_emb").write_text("mine")
    with pytest.raises(ValueError, match="modality: "):
        PairedEmbeddings({"image": np.eye(3), name: np.eye(3)})
    if name and name not in ("group", "x_count"):  # these are no vectors in a file
        save = {"image": np.eye(3), name: np.eye(3)}
        from safetensors.numpy import save_file

        save_file(save, folder / "evil.safetensors")
        status, _, err = modtrans("convert", "evil.safetensors", "inside/out")
        assert status == 1 and len(lines(err)) == 1 and "evil.safetensors: modality: " in err
    described = json.loads((ridge / "translator.json").read_text())
    described["facts"]["target"] = name
    (ridge / "translator.json").write_text(json.dumps(described))
    status, _, err = modtrans("translate", "run", "c.npy", "inside/out")
    assert status == 1 and len(lines(err)) == 1 and "translator.json: facts: target: " in err
    assert not (folder / "inside").exists() and (folder / "victim" / "x_emb").read_text() == "mine"


def test_plain_names_are_names():
    names = ("text-fr", "audio-fr", "text-old", "image_embeddings", "2", "_x", "x" * 64)
    assert list(PairedEmbeddings({name: np.eye(3) for name in names}).arrays) == list(names)


@pytest.mark.parametrize(
    "verb", [("convert", "pairs.npz"), ("translate", "run", "pairs.npz"), ("rank", "run", "c.npy", "pairs.npz")]
)
def test_overwrite_replaces_a_folder_that_was_written_here_and_no_other(folder, modtrans, ridge, verb):
    assert modtrans(*verb, "out")[0] == 0
    assert modtrans(*verb, "out")[0] == 1
    assert modtrans(*verb, "out", "--overwrite")[0] == 0
    (folder / "out" / "metadata").mkdir(exist_ok=True)
    (folder / "out" / "metadata" / "thesis.txt").write_text("mine")
    (folder / "home").mkdir()
    (folder / "home" / ".profile").write_text("mine")
    (folder / "text").write_text("mine")
    (folder / "link").symlink_to(folder / "home")
    for name, words in (
        ("out", "out: holds metadata/thesis.txt, which was not written here"),
        ("run", "run: holds model.safetensors" if verb[0] == "convert" else "OUT: run is run, which is read"),
        ("home", "home: holds .profile"),
        ("text", "text: a file, a folder is needed"),
        ("link", "link: a link, a folder is needed"),
    ):
        before = sorted(folder.rglob("*"))
        status, _, err = modtrans(*verb, name, "--overwrite")
        assert status == 1 and words in err and len(lines(err)) == 1
        assert sorted(folder.rglob("*")) == before
    with pytest.raises(ValueError, match="holds .profile"), replacing_folder(folder / "home"):
        pass


def test_nothing_is_written_through_a_link(folder, modtrans, poster):
    (folder / "mine").write_text("mine")
    (folder / "linked").mkdir()
    (folder / "linked" / "metrics.jsonl").symlink_to(folder / "mine")
    status, _, err = modtrans("train", "pairs.npz", "--out", "linked", *poster)
    assert status == 1 and "linked/metrics.jsonl: a link" in err
    (folder / "new.npz").symlink_to(folder / "mine")
    assert modtrans("convert", "pairs.npz", "new.npz", "--overwrite")[0] == 0
    assert (folder / "mine").read_text() == "mine" and not (folder / "new.npz").is_symlink()


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_files_follow_the_umask(folder, modtrans, umask):
    before = os.umask(umask)
    try:
        assert modtrans("train", "pairs.npz", "--preset", "ridge", "--out", "run")[0] == 0
        assert modtrans("convert", "pairs.npz", "one.safetensors")[0] == 0
        assert modtrans("convert", "pairs.npz", "layout")[0] == 0
    finally:
        os.umask(before)
    files = [file for name in ("run", "layout") for file in (folder / name).rglob("*") if file.is_file()]
    for file in [*files, folder / "one.safetensors"]:
        assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask, file


def test_repeated_options_add_up(folder, modtrans):
    small = ["--preset", "poster", "--device", "cpu", "--train-steps", "1", "--set", "width=16", "--set=depth=1"]
    assert modtrans("train", "pairs.npz", *small, "--out", "run", "--set", "gamma=0.5", "steps=2")[0] == 0
    config = json.loads((folder / "run" / "translator.json").read_text())["config"]
    assert [config[name] for name in ("width", "depth", "gamma", "steps")] == [16, 1, 0.5, 2]
    status, _, err = modtrans("train", "pairs.npz", "--out", "two", "--set", "landmarks=3", "--set", "landmarks=4")
    assert status == 1 and "set: 'landmarks=4', one value of landmarks is needed" in err
    assert modtrans("convert", "pairs.npz", "x.npz", "--independent", "text", "--independent", "image")[0] == 0
    assert set(PairedEmbeddings.load("x.npz").metadata["independent"]) == {"image", "text"}
    mixed = ["v", "--set", "a", "-k", "3", "--pairs", "p", "--set", "b", "--pairs=q", "--json"]
    assert added_up(mixed, ["--set", "--pairs"]) == ["v", "--set", "a", "b", "-k", "3", "--pairs", "p", "q", "--json"]


def test_what_nobody_foresaw_is_one_line_and_a_trace_where_asked_for(capsys):
    from dataclasses import dataclass
    from pathlib import Path

    @dataclass
    class Fails:
        """Fails."""

        file: Path = Path("x.npz")

        def run(self):
            raise KeyError("a\nb")

    assert run({"fails": Fails, "other": Fails}, "modtrans", "", ["fails"]) == 1
    err = capsys.readouterr().err
    assert len(lines(err)) == 1 and "KeyError" in err and "given x.npz" in err and "please report" in err
    with pytest.raises(KeyError):
        run({"fails": Fails, "other": Fails}, "modtrans", "", ["fails", "--debug"])


@pytest.mark.parametrize("value", ["", " ", "none", "-1", "0", "1.5", "²"])
def test_a_variable_of_torchrun_that_holds_no_number_is_none(folder, modtrans, monkeypatch, value):
    (folder / "captions.csv").write_text("file,caption\nno.png,none\n")
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, value)
    assert modtrans("train", "pairs.npz", "--preset", "ridge", "--out", "run")[0] == 0
    status, _, err = modtrans("embed", "folder:.", "--out", "none.npz")
    assert status == 1 and "invalid literal" not in err


def test_a_second_file_is_no_file_that_is_read_or_written_beside_it(folder, modtrans):
    assert modtrans("train", "pairs.npz", "--out", "run", "--device", "cpu")[0] == 0
    before = (folder / "c.npy").read_bytes()
    for output, beside in (("z.npy", "./z.npy"), ("z.npy", "c.npy"), ("z.npy", folder / "z.npy")):
        status, _, err = modtrans("translate", "run", "c.npy", output, "--expected-cosine", beside, "--overwrite")
        assert status == 1 and "another file is needed" in err and "expected-cosine: " in err
    status, _, err = modtrans("translate", "run", "pairs.npz", "index", "--expected-cosine", "index/s.npy")
    assert status == 1 and "expected-cosine: index/s.npy lies in index, which is read or written too" in err
    assert (folder / "c.npy").read_bytes() == before and not (folder / "z.npy").exists()
    assert not (folder / "index").exists()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("x.npy", ["translate", "run", "x.npy", "z.npy"]),
        ("x.npz", ["evaluate", "run", "x.npz"]),
        ("x.safetensors", ["convert", "x.safetensors", "z.npz"]),
        ("x.npy", ["pack", "image=x.npy", "z.npz"]),
        ("x.csv", ["pack", "image=x.csv:a*", "z.npz"]),
        ("x.npz", ["translate", "run", "x.npz", "z.npy"]),
        ("run/translator.json", ["evaluate", "run", "pairs.npz"]),
        ("run/model.safetensors", ["evaluate", "run", "pairs.npz"]),
    ],
)
def test_a_pipe_is_no_file_and_nobody_waits_for_it(folder, modtrans, ridge, name, arguments):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    status, _, err = modtrans(*arguments)
    assert status == 1 and f"{name}: a pipe or a device, a file is needed" in err, err


@pytest.mark.parametrize(
    "name", ["translator.json", "metrics.jsonl", "seen.safetensors", "embed.json", ".modtrans.json"]
)
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_a_run_takes_no_folder_with_a_file_of_another_program(folder, modtrans, name, more):
    (folder / "out").mkdir()
    (folder / "out" / name).write_text('{"mine": 1}')
    status, _, err = modtrans("train", "pairs.npz", "--preset", "ridge", "--out", "out", *more)
    assert status == 1 and f"out: holds {name}, which is of no run; choose another folder" in err
    assert [entry.name for entry in (folder / "out").iterdir()] == [name]
    assert (folder / "out" / name).read_text() == '{"mine": 1}'


def test_a_path_that_the_shell_left_alone_makes_no_folder(folder, modtrans):
    status, _, err = modtrans("train", "pairs.npz", "--preset", "ridge", "--out=~/run")
    assert status == 1 and "out: '~/run', the folder's whole name, as here ~ is none, is needed" in err
    assert not (folder / "~").exists()


def test_the_working_directory_is_no_folder_to_make(folder, modtrans, monkeypatch):
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder / "empty")
    for name in (".", ".."):
        status, _, err = modtrans("convert", "../pairs.npz", name, "--overwrite")
        assert status == 1 and f"{name}: the name of a folder to make is needed" in err


def test_names_obey_the_terminal_in_no_way(folder, modtrans):
    assert modtrans("train", "pairs.npz", "--out", "run", "--device", "cpu")[0] == 0
    pairs = PairedEmbeddings.load("pairs.npz")
    PairedEmbeddings(pairs.arrays, key=np.array([f"\x1b[2J{row}\n" for row in range(80)])).save("named.npz")
    out = modtrans("rank", "run", "named.npz", "named.npz", "-k", "2")[1]
    assert "\x1b" not in out and "\\x1b[2J" in out and len(out.splitlines()) == 10


def test_a_data_set_reads_files_of_its_own_folder_alone(tmp_path, monkeypatch):
    hf = pytest.importorskip("datasets")
    hf.disable_progress_bars()
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    Image = pytest.importorskip("PIL.Image")
    (tmp_path / "data").mkdir()
    for place in (tmp_path / "secret.png", tmp_path / "data" / "own.png"):
        Image.new("RGB", (4, 4)).save(place)
    paths = [str(tmp_path / "secret.png"), str(tmp_path / "data" / "own.png"), "own.png", "../secret.png"]
    rows = {"image": [{"bytes": None, "path": path} for path in paths], "caption": ["a", "b", "c", "d"]}
    features = hf.Features({"image": hf.Image(), "caption": hf.Value("string")})
    pq.write_table(pa.table(rows, schema=features.arrow_schema), tmp_path / "data" / "x.parquet")
    source = load_source(f"datasets:{tmp_path / 'data'}")
    found = []
    for entry in (entry for shard in source.shards(4) for entry in shard.read()):
        assert isinstance(entry, Item)
        try:
            found.append(read("image", entry.values["image"]).shape)
        except ValueError as error:
            found.append(str(error))
    assert found == ["outside the folder", (4, 4, 3), (4, 4, 3), "outside the folder"]


def test_an_absolute_path_that_lies_in_the_folder_is_in_it(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    Image.new("RGB", (4, 4)).save(tmp_path / "own.png")
    (tmp_path / "captions.csv").write_text(f"file,caption\n{tmp_path / 'own.png'},a\n/etc/passwd,b\n")
    entries = load_source(f"folder:{tmp_path}").entries
    assert [entry.key for entry in entries if isinstance(entry, Item)] == ["own.png"]
    assert [entry.reason for entry in entries if not isinstance(entry, Item)] == ["outside the folder"]


JUNK = [None, True, 3, -1, 1.5, "x", [], {}, [1], {"a": 1}, [[]], "9" * 400]


def test_a_description_of_any_other_type_is_one_line_that_names_its_file(folder, modtrans, ridge):
    """Every value of a run folder's JSON in turn replaced by values of other types."""
    path, kept = ridge / "translator.json", json.loads((ridge / "translator.json").read_text())
    shutil.copytree(ridge, folder / "kept")

    def places(value, at=()):
        yield at
        if isinstance(value, dict):
            for name in value:
                yield from places(value[name], (*at, name))

    for at in places(kept):
        for junk in JUNK:
            spoilt = json.loads(json.dumps(kept))
            if at:
                inside = spoilt
                for name in at[:-1]:
                    inside = inside[name]
                inside[at[-1]] = junk
            else:
                spoilt = junk
            path.write_text(json.dumps(spoilt))
            status, _, err = modtrans("translate", "run", "c.npy", "z.npy", "--overwrite")
            assert status in (0, 1) and "please report" not in err and "Traceback" not in err, (at, junk, err)
            assert status == 0 or (len(lines(err)) == 1 and "run/" in err), (at, junk, err)


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_metadata_of_any_other_type_is_one_line_that_names_its_file(folder, modtrans, junk):
    from safetensors.numpy import save_file

    arrays = {"image": np.eye(8, dtype=np.float32), "text": np.eye(8, dtype=np.float32)}
    text = json.dumps(junk)
    for header in ({"metadata": text}, {"key": text}, {"metadata": '{"{"'}, {"metadata": json.dumps({"image": junk})},
                   {"metadata": json.dumps({"independent": junk, "classes": junk, "captions": junk})}):  # fmt: skip
        save_file(arrays, "x.safetensors", header)
        np.savez("x.npz", **arrays, metadata=np.array(header.get("metadata", 3)))
        for file in ("x.safetensors", "x.npz"):
            status, _, err = modtrans("convert", file, "out", "--overwrite")
            assert status in (0, 1) and "please report" not in err, (header, err)
            assert status == 0 or (len(lines(err)) == 1 and file in err), (header, err)


def test_weights_of_another_kind_are_one_line(folder, modtrans, ridge):
    from safetensors.torch import load_file, save_file

    kept = load_file(ridge / "seen.safetensors")
    for spoilt in ({"x": torch.ones(3)}, {name: rows.float() for name, rows in kept.items()}):
        save_file(spoilt, ridge / "seen.safetensors")
        status, _, err = modtrans("evaluate", "run", "pairs.npz")
        assert status == 1 and len(lines(err)) == 1 and "run/seen.safetensors: " in err


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_the_state_of_an_embedding_of_any_other_type_is_one_line_that_names_its_file(folder, modtrans, junk):
    (folder / "half").mkdir()
    shutil.copy("pairs.npz", "half/000000.npz")
    for state in (
        junk,
        {"finished": junk},
        {"finished": False, "job": junk},
        {"finished": True, "job": {}, "items": junk},
    ):
        (folder / "half" / "embed.json").write_text(json.dumps(state))
        status, _, err = modtrans("convert", "half", "out", "--overwrite")
        assert status in (0, 1) and "please report" not in err
        assert status == 0 or (len(lines(err)) == 1 and "half" in err), (state, err)
        with pytest.raises(ValueError, match=r"half"):
            Folder(folder / "half").clear() if Folder(folder / "half").record() else None


def test_an_embedding_is_replaced_only_where_nothing_else_lies(folder):
    (folder / "half").mkdir()
    (folder / "half" / "embed.json").write_text(json.dumps({"finished": False, "job": {}}))
    (folder / "half" / ".profile").write_text("mine")
    with pytest.raises(ValueError, match=r"half/.profile: was not made by modtrans embed"):
        Folder(folder / "half").clear()
    (folder / "half" / ".profile").unlink()
    Folder(folder / "half").clear()
    assert not (folder / "half").exists()


def test_arrays_that_were_made_to_harm_are_one_line_that_names_the_file(folder, modtrans):
    """Headers that promise more than the file has or the machine can hold, pickles, pointers, and other types."""
    import io
    import zipfile

    from safetensors.torch import save_file

    def header(shape, kind="<f4", version=b"\x01\x00"):
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
        return file.getvalue()[:6] + version + file.getvalue()[8:]

    headers = [header((10**9, 10**5)), header((-1, 8)), header((4, 8)), header((4, 8), version=b"\x09\x00"), b"x"]
    headers += [header((80, 8), "|O") + bytes(80), b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"]
    assert modtrans("train", "pairs.npz", "--preset", "ridge", "--out", "run")[0] == 0
    for content in headers:
        (folder / "x.npy").write_bytes(content)
        with zipfile.ZipFile("x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("image.npy", content)
            archive.writestr("text.npy", header((4, 8)) + bytes(128))
        for verb in (("translate", "run", "x.npy", "z.npy"), ("convert", "x.npz", "z.npz")):
            status, _, err = modtrans(*verb)
            assert status == 1 and len(lines(err)) == 1 and f"{verb[-2]}: " in err, err
            assert err.count(verb[-2]) == 1 and "please report" not in err
    assert "git lfs pull" in err or modtrans("translate", "run", "x.npy", "z.npy")[2].count("git lfs pull")
    for kind, words in ((torch.bfloat16, None), (torch.float8_e4m3fn, "F16, F32, F64 and BF16"), (torch.int32, "BF16")):
        save_file({"image": torch.ones(4, 8).to(kind), "text": torch.ones(4, 3)}, "x.safetensors")
        status, _, err = modtrans("convert", "x.safetensors", "z.npz", "--overwrite")
        assert (status == 0) == (words is None) and (words is None or words in err), err


@pytest.mark.parametrize(
    ("preset", "arguments"),
    [
        ("calibrated", ["--set", "seed=1", "--seed", "2"]),
        ("calibrated", ["--set", "goal=0.5", "--goal", "cosine"]),
        ("poster", ["--set", "train.steps=3", "--steps", "2"]),
        ("poster", ["--set", "train.seed=3", "--seed", "2"]),
        ("poster", ["--set", "train.seed=3", "--seed", "0"]),
    ],
)
def test_a_setting_that_is_given_twice_is_not_dropped(folder, modtrans, preset, arguments):
    status, _, err = modtrans("train", "pairs.npz", "--preset", preset, "--out", "run", *arguments)
    assert status == 1 and "set: " in err and f"one value of {arguments[1].split('=')[0]} is needed" in err
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["train", "pairs.npz", "--out", ""], "out"),
        (["train", "pairs.npz", "--out="], "out"),
        (["train", "", "--out", "run"], "pairs"),
        (["evaluate", "run", ""], "pairs"),
        (["translate", "run", "pairs.npz", ""], "output"),
        (["rank", "run", "", "pairs.npz"], "queries"),
    ],
)
def test_a_variable_that_is_not_set_is_not_the_working_directory(folder, modtrans, arguments, name):
    before = sorted(folder.iterdir())
    status, _, err = modtrans(*arguments)
    assert status == 2 and err == f"modtrans: {name}: '', the name of a file or folder is needed\n"
    assert sorted(folder.iterdir()) == before
    (folder / "pairs.npz").rename(folder / "only.npz")
    (folder / "c.npy").unlink()
    assert modtrans("train", ".", "--out", "run", "--preset", "ridge")[0] == 0  # the working directory, by its name


def test_the_working_directory_may_be_a_default():
    from dataclasses import dataclass
    from pathlib import Path

    @dataclass
    class Makes:
        """Makes a file."""

        out: Path = Path()

        def run(self):
            assert self.out == Path()

    assert run({"makes": Makes, "other": Makes}, "modtrans", "", ["makes"]) == 0
    assert run({"makes": Makes, "other": Makes}, "modtrans", "", ["makes", "--out", ""]) == 2


def test_nothing_is_written_in_the_place_of_what_is_read(trained, folder, modtrans):
    """With --overwrite, too: a set is not lost to its own translation or ranking."""
    trained("run")
    assert modtrans("convert", "pairs.npz", "shards", "--layout", "shards")[0] == 0
    part = next((folder / "shards").glob("*.safetensors"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for arguments in (
        ["translate", "run", "c.npy", "./c.npy"],
        ["translate", "run", "pairs.npz", "pairs.npz"],
        ["translate", "run", "shards", "shards"],
        ["translate", "run", part, "shards"],
        ["rank", "run", "pairs.npz", "pairs.npz", "pairs.npz"],
        ["rank", "run", "pairs.npz", "shards", "shards"],
        ["convert", part, "shards", "--layout", "shards"],
        ["pack", "image=c.npy", "text=pairs.npz:text", "pairs.npz"],
        ["translate", "run", "pairs.npz", "run/model.safetensors"],
        ["translate", "run", "c.npy", "run"],
        ["convert", "pairs.npz", "run/seen.safetensors"],
        ["convert", "pairs.npz", "run/training.safetensors"],
        ["pack", "image=c.npy", "run/model.safetensors"],
        ["embed", "openmoji", "--limit", "9", "--out", "run/model.safetensors"],
    ):
        status, _, err = modtrans(*arguments, "--overwrite")
        read = "OUT: " in err and "which is read or written too" in err
        assert status == 1 and (read or "the place of a part of the run in run" in err), arguments
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert modtrans("convert", "pairs.npz", "pairs.npz", "--overwrite")[0] == 0  # the same set, written anew
    assert modtrans("translate", "run", "c.npy", "run/z.npy")[0] == 0  # no part of it


def test_nothing_is_written_into_a_set_that_is_read(folder, modtrans, ridge):
    """A file in a folder of shards is a shard."""
    (folder / "set").mkdir()
    shutil.copy("pairs.npz", "set/0.npz")
    before = PairedEmbeddings.load("set").fingerprint()
    for arguments in (["convert", "set", "set/1.npz"], ["translate", "run", "set", "set/z.npz"]):
        status, _, err = modtrans(*arguments)
        assert status == 1 and f"OUT: {arguments[-1]} lies in set, which is read" in err
    assert PairedEmbeddings.load("set").fingerprint() == before


@pytest.mark.parametrize("layout", ["shards", "clip-retrieval"])
def test_a_run_is_begun_in_no_pair_set(folder, modtrans, layout):
    assert modtrans("convert", "pairs.npz", "set", "--layout", layout)[0] == 0
    (folder / "set" / ".modtrans.json").unlink()  # as another program leaves it
    before = PairedEmbeddings.load("set").fingerprint()
    for more in ([], ["--overwrite"]):
        status, _, err = modtrans("train", "set", "--out", "set", *more)
        assert status == 1 and "set: holds a pair set" in err
    assert PairedEmbeddings.load("set").fingerprint() == before


def test_a_name_that_no_file_can_hold_is_refused_where_it_is_read(folder, modtrans, ridge):
    given = PairedEmbeddings.load("pairs.npz")
    key = [f"k{number}" for number in range(len(given))]
    for bad, words in (
        ({"key": np.array([*key[:-1], "bad\udc80name"])}, "key: ['bad\\udc80name'], text in UTF-8 is needed"),
        ({"key": np.array(key), "metadata": json.dumps({"captions": {"k3": ["a\udc80"]}})}, "caption: 'a\\udc80'"),
    ):
        np.savez("bad.npz", **given.arrays, **bad)
        status, _, err = modtrans("convert", "bad.npz", "out")
        assert status == 1 and words in err and "bad.npz" in err and not (folder / "out").exists()


def test_a_set_on_disk_has_names_too(folder, modtrans, ridge, monkeypatch):
    """Those beside its shards, which it leaves there."""
    given = PairedEmbeddings.load("pairs.npz")
    replace(given, key=np.array([f"k{number}" for number in range(len(given))])).save("named.npz")
    assert modtrans("convert", "named.npz", "shards", "--layout", "shards")[0] == 0
    expected = [f"k{number}" for number in range(len(given))]
    monkeypatch.setattr("modtrans_core.store.mapped.LARGE", 1)
    assert PairedEmbeddings.load("shards").key is None
    assert modtrans("translate", "run", "shards", "z.npz")[0] == 0
    assert list(np.load("z.npz")["key"]) == expected


def test_a_long_value_is_shown_in_brief(folder, modtrans):
    for value in ("9" * 5000, "[" * 100_000):
        status, _, err = modtrans("train", "pairs.npz", "--out", "run", "--set", f"landmarks={value}")
        assert status == 1 and "landmarks: " in err and len(err) < 300


def test_what_does_not_fit_on_the_disk_is_refused_before_it_is_full(tmp_path):
    def pieces():
        pytest.fail("wrote")
        yield

    with pytest.raises(OSError, match="No space left on device") as caught:
        write_npy(tmp_path / "large.npy", (2**40, 2**20), np.float32, pieces())
    assert caught.value.filename == str(tmp_path / "large.npy") and not list(tmp_path.iterdir())
