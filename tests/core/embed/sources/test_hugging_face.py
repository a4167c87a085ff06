"""Data sets of Hugging Face's library: saved, as parquet, and what their columns may be."""

import io
import json
import logging
import pickle
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from modtrans_core.embed import embed
from modtrans_core.embed.sources import Item, Skipped, load_source
from modtrans_core.embed.sources.reading import read

hf = pytest.importorskip("datasets")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """What parquet files become is kept with the test."""
    monkeypatch.setattr(hf.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    hf.disable_progress_bars()


def png(shade):
    file = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), shade, np.uint8)).save(file, "PNG")
    return file.getvalue()


def table(rows, start=0, captions=None, **columns):
    """Pictures and lists of captions."""
    shades = range(start, start + rows)
    captions = captions or [[f"shade {shade}", f"grey {shade}"] for shade in shades]
    features = {"image": hf.Image(), "caption": hf.List(hf.Value("string"))}
    values = {"image": [{"bytes": png(shade), "path": None} for shade in shades], "caption": captions}
    for name, (feature, column) in columns.items():
        features[name], values[name] = feature, column
    return hf.Dataset.from_dict(values, features=hf.Features(features))


def stored(rows, **features):
    """A data set of these rows as they are, which the library's own encoders would check first."""
    return hf.Dataset(pa.table(rows, schema=hf.Features(features).arrow_schema))


def entries(path, **arguments):
    return [entry for shard in load_source(f"datasets:{path}", **arguments).shards(4) for entry in shard.read()]


def shades(found):
    return [int(read("image", entry.values["image"])[0, 0, 0]) for entry in found]


@pytest.fixture()
def saved(tmp_path):
    splits = {"train": table(9), "val": table(3, 100), "test": table(2, 200)}
    hf.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def test_descriptions_name_no_file_outside_the_folder(tmp_path):
    secret, parquet = tmp_path / "secret", tmp_path / "parquet"
    table(2).save_to_disk(str(secret / "saved"))
    table(2).to_parquet(str(secret / "rows.parquet"))
    (parquet / "data").mkdir(parents=True)
    table(1).to_parquet(str(parquet / "data" / "a.parquet"))
    with zipfile.ZipFile(secret / "all.zip", "w") as archive:
        archive.write(secret / "rows.parquet", "rows.parquet")
    for name in (
        secret / "rows.parquet",
        "../secret/rows.parquet",
        f"file://{secret}/rows.parquet",
        f"local://{secret}/rows.parquet",
        f"zip://rows.parquet::{secret}/all.zip",
        "http://127.0.0.1:9/rows.parquet",
    ):
        configs = f"configs:\n- config_name: default\n  data_files:\n  - split: train\n    path:\n    - {name}\n"
        for file, said in (("README.md", f"---\n{configs}---\n"), (".huggingface.yaml", configs)):
            (parquet / file).write_text(said)
            with pytest.raises(ValueError, match="parquet: names .*rows.parquet.*, which lies outside of it"):
                entries(parquet)
            (parquet / file).unlink()
    assert len(entries(parquet)) == 1
    table(1).save_to_disk(str(tmp_path / "one"))
    state = json.loads((tmp_path / "one" / "state.json").read_text())
    (arrow,) = (secret / "saved").glob("*.arrow")
    (tmp_path / "one" / "state.json").write_text(json.dumps(state | {"_data_files": [{"filename": str(arrow)}]}))
    hf.DatasetDict({"train": table(1)}).save_to_disk(str(tmp_path / "several"))
    (tmp_path / "several" / "dataset_dict.json").write_text(json.dumps({"splits": ["../secret/saved"]}))
    for name in ("one", "several"):
        with pytest.raises(ValueError, match=rf"{name}: names .*\.arrow, which lies outside of it"):
            entries(tmp_path / name)


def test_a_description_of_a_few_letters_that_stands_for_a_billion_values_is_refused(tmp_path):
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 10)]
    lines = ["---", "a0: &a0 [x]", *levels, "configs: [{config_name: default, data_files: *a9}]", "---", ""]
    (tmp_path / "README.md").write_text("\n".join(lines))
    table(1).to_parquet(str(tmp_path / "a.parquet"))
    with pytest.raises(ValueError, match="its descriptions name more than 1000000 values"):
        entries(tmp_path)


def test_no_set_is_made_in_the_folder_that_is_read_whole(tmp_path):
    (tmp_path / "mine").mkdir()
    table(1).to_parquet(str(tmp_path / "mine" / "a.parquet"))
    with pytest.raises(ValueError, match="out: .*mine/made lies in .*mine, which is read"):
        embed(f"datasets:{tmp_path / 'mine'}", tmp_path / "mine" / "made")


def test_a_readme_that_is_only_text_is_no_matter(tmp_path, caplog):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("# Mine\n")
    table(1).to_parquet(str(tmp_path / "mine" / "a.parquet"))
    assert len(entries(tmp_path / "mine")) == 1 and not caplog.records


@pytest.mark.parametrize("name", ["/etc/hostname", "file:///etc/hostname", "https://example.org/rows.parquet"])
def test_a_data_set_of_the_hub_names_no_file_elsewhere(monkeypatch, name):
    config = SimpleNamespace(data_files={"train": ["hf://datasets/me/set@1/a.parquet", name]})
    listed = SimpleNamespace(name="parquet", config=config)
    monkeypatch.setattr(hf, "load_dataset_builder", lambda *_: listed)
    with pytest.raises(ValueError, match=f"me/set: names {name}, which lies outside of it"):
        entries("me/set")


@pytest.mark.parametrize("name", ["parquet", "text", "pandas"])
def test_a_folder_may_be_called_like_a_format(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    table(3).to_parquet(str(tmp_path / name / "a.parquet"))
    (tmp_path / "another.txt").write_text("a line")
    monkeypatch.chdir(tmp_path)
    assert len(entries(name)) == 3


def test_formats_that_can_name_other_files_are_refused(tmp_path):
    table(1).to_parquet(str(tmp_path / "a.parquet"))
    (tmp_path / "rows.h5").write_bytes(b"")
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: rows.h5\n---\n")
    with pytest.raises(ValueError, match=": has files of the format hdf5; parquet, arrow, .* are read"):
        entries(tmp_path)


def test_a_saved_data_set_with_its_splits(saved):
    source = load_source(f"datasets:{saved}")
    shards = source.shards(4)
    assert [(shard.name, shard.size, shard.start) for shard in shards] == [
        ("000000", 4, 0),
        ("000001", 4, 4),
        ("000002", 1, 8),
        ("000003", 3, 9),
        ("000004", 2, 12),
    ]
    found = entries(saved)
    assert [item.key for item in found][8:10] == ["train/000000008", "val/000000000"]
    assert [item.split for item in found] == ["train"] * 9 + ["validation"] * 3 + ["test"] * 2
    assert shades(found) == [*range(9), *range(100, 103), 200, 201]
    assert found[0].values["text"] == ("shade 0", "grey 0")
    assert set(source.encoders) == {"image", "text"} and not source.grouped
    assert source.facts["splits"] == {"train": 9, "val": 3, "test": 2} and source.facts["items"] == 14
    again = pickle.loads(pickle.dumps(shards[3]))  # a shard may be read in another process
    assert list(again.read()) == found[9:12]


def test_one_split(saved):
    found = entries(saved, settings={"split": "val"})
    assert [item.key for item in found] == [f"val/{row:09d}" for row in range(3)]
    assert {item.split for item in found} == {None}  # one split alone is not a split
    with pytest.raises(ValueError, match=r"split: 'dev' is not one of .*saved, which has train, val, test$"):
        entries(saved, settings={"split": "dev"})


def test_a_data_set_saved_without_splits(tmp_path):
    table(3).save_to_disk(str(tmp_path / "one"))
    found = entries(tmp_path / "one")
    assert [item.key for item in found] == [f"all/{row:09d}" for row in range(3)]
    assert {item.split for item in found} == {None}


@pytest.mark.parametrize("form", ["folder", "file"])
def test_parquet(tmp_path, form):
    folder = tmp_path / "parquet"
    folder.mkdir()
    table(5).to_parquet(folder / "train-00000-of-00001.parquet")
    if form == "folder":
        table(2, 50).to_parquet(folder / "validation-00000-of-00001.parquet")
    found = entries(folder if form == "folder" else folder / "train-00000-of-00001.parquet")
    expected = [*range(5), 50, 51] if form == "folder" else [*range(5)]
    assert shades(found) == expected
    splits = ["train"] * 5 + ["validation"] * 2 if form == "folder" else [None] * 5
    assert [item.split for item in found] == splits


def test_parquet_of_another_writer(tmp_path):
    """No features in the file's metadata: pictures are bytes, or bytes with a path."""
    for name, column in (
        ("struct", pa.array([{"bytes": png(7), "path": "x.png"}])),
        ("bytes", pa.array([png(7)], pa.binary())),
        ("large", pa.array([png(7)], pa.large_binary())),
    ):
        file = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"jpg": column, "thumbnail": [b"x"], "url": ["http"], "text": ["grey"]}), file)
        (item,) = entries(file)
        assert shades([item]) == [7] and item.values["text"] == "grey"


def test_a_limit_and_identity(saved, tmp_path):
    found = entries(saved, limit=6, seed=1)
    assert len(found) == 6 and found == entries(saved, limit=6, seed=1) != entries(saved, limit=6, seed=2)
    assert [shard.start for shard in load_source(f"datasets:{saved}", 6, 1).shards(2)][:2] == [0, 2]
    assert sum(shard.size for shard in load_source(f"datasets:{saved}", 6, 1).shards(2)) == 6
    identities = [load_source(f"datasets:{saved}", limit).identity() for limit in (None, 6, 7, None)]
    assert len(set(identities)) == 3 and identities[0] == identities[3]
    hf.DatasetDict({"train": table(9)}).save_to_disk(str(tmp_path / "other" / "saved"))
    assert load_source(f"datasets:{tmp_path / 'other' / 'saved'}").identity() not in identities
    with pytest.raises(ValueError, match="limit: 0, at least 1 is needed"):
        entries(saved, limit=0)


def test_rows_that_lack_something(tmp_path):
    rows = {
        "image": [
            {"bytes": png(1), "path": None},
            None,
            {"bytes": None, "path": None},
            {"bytes": png(1), "path": None},
            {"bytes": png(1), "path": None},
            {"bytes": b"not a picture", "path": None},
            {"bytes": None, "path": str(tmp_path / "elsewhere.png")},
        ],
        "caption": ["fine", "x", "x", None, " ", "x", "a path"],
    }
    (tmp_path / "elsewhere.png").write_bytes(png(9))
    file = tmp_path / "rows.parquet"
    pq.write_table(stored(rows, image=hf.Image(), caption=hf.Value("string")).data.table, file)
    found = entries(file)
    assert [entry.reason for entry in found if isinstance(entry, Skipped)] == [
        "no picture",
        "no picture",
        "no caption",
        "empty caption",
    ]
    assert shades([found[0], found[6]]) == [1, 9]
    with pytest.raises(ValueError, match="^not a picture$"):  # decoded when it is read, by our reader
        read("image", found[5].values["image"])


def test_no_or_missing_captions_in_a_list(tmp_path):
    table(3, captions=[[], ["a", None], ["a", "b"]]).save_to_disk(str(tmp_path / "saved"))
    assert [type(entry) for entry in entries(tmp_path / "saved")] == [Skipped, Skipped, Item]


def test_sounds_are_not_decoded(tmp_path):
    rows = {"audio": [{"bytes": b"RIFF....WAVE", "path": "a.wav"}, None], "text": ["rain", "wind"]}
    stored(rows, audio=hf.Audio(), text=hf.Value("string")).save_to_disk(str(tmp_path / "saved"))
    source = load_source(f"datasets:{tmp_path / 'saved'}")
    assert set(source.encoders) == {"audio", "text"}
    assert list(source.shards(9)[0].read()) == [
        Item("all/000000000", {"audio": b"RIFF....WAVE", "text": "rain"}),
        Skipped("all/000000001", "no sound"),
    ]


def test_columns_are_chosen_by_type_name_and_setting(tmp_path):
    more = {"url": (hf.Value("string"), ["http"]), "label": (hf.ClassLabel(names=["x"]), [0])}
    table(1, **more).save_to_disk(str(tmp_path / "usual"))
    assert entries(tmp_path / "usual")[0].values["text"] == ("shade 0", "grey 0")
    assert entries(tmp_path / "usual", settings={"text": "url"})[0].values["text"] == "http"
    table(1, **more).rename_column("caption", "alt").save_to_disk(str(tmp_path / "unusual"))
    with pytest.raises(ValueError, match=r"columns alt, url could all be the text; set text=COLUMN$"):
        entries(tmp_path / "unusual")
    for settings, message in (
        ({"text": "words"}, r"text: 'words' is not a column of .*, which has image \(image\), alt \(text\)"),
        ({"text": "label"}, r"text: 'label' of .* holds no text; the columns are"),
        ({"image": "url"}, r"image: 'url' of .* holds no image; the columns are"),
        ({"picture": "image"}, r"'picture' is not a setting of datasets, which has audio, config, image, split, text$"),
    ):
        with pytest.raises(ValueError, match=message):
            entries(tmp_path / "unusual", settings=settings)
    hf.Dataset.from_dict({"text": ["alone"]}).save_to_disk(str(tmp_path / "alone"))
    with pytest.raises(ValueError, match=r"no column of image or audio; the columns are text \(text\)$"):
        entries(tmp_path / "alone")
    table(1).select_columns("image").save_to_disk(str(tmp_path / "mute"))
    with pytest.raises(ValueError, match=r"no column of text; the columns are image \(image\)$"):
        entries(tmp_path / "mute")


@pytest.mark.parametrize("order", [("train", "test"), ("test", "train")])
def test_a_split_without_captions_is_named_with_what_takes_the_other(tmp_path, order):
    """The test part of many a challenge has none."""
    splits = {"train": table(3), "test": table(2).select_columns("image")}
    path = tmp_path / "saved"
    hf.DatasetDict({name: splits[name] for name in order}).save_to_disk(str(path))
    said = f"^{path}: split 'test' has no column 'caption', as 'train' has; --set split=train takes that alone$"
    with pytest.raises(ValueError, match=said):
        entries(path)
    assert len(entries(path, settings={"split": "train"})) == 3


def test_what_cannot_be_loaded_is_one_line(tmp_path, monkeypatch):
    said = []
    handler = logging.Handler()
    handler.emit = said.append
    monkeypatch.setattr(logging.getLogger("datasets"), "handlers", [handler])
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "state.json").write_text("{")
    for path, message in (
        (tmp_path / "nowhere", "no such file or folder$"),
        (tmp_path / "empty", "no folder written by save_to_disk, and no parquet files in it$"),
        (tmp_path / "cut.parquet", r"cut\.parquet: cannot be loaded by datasets \(.+\)$"),
        (tmp_path / "damaged", r"damaged: cannot be loaded by datasets \(.+\)$"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            entries(path)
        assert "\n" not in str(error.value)
    assert not said, "nothing beside it by the library's logger"


def test_a_script_is_not_run(tmp_path):
    folder = tmp_path / "scripted"
    folder.mkdir()
    (folder / "scripted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit\n")
    table(1).to_parquet(folder / "train.parquet")
    try:
        entries(folder)
    except ValueError as error:
        assert "script" in str(error)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("there", [False, True])
def test_the_hub_out_of_reach_is_one_line_and_asked_once(monkeypatch, there):
    from huggingface_hub import HfApi

    asked = []

    def info(self, name, timeout):
        if not there:
            raise ConnectionError("no route\nto host")

    def builder(*arguments, **keywords):
        asked.append(hf.config.HF_HUB_OFFLINE)
        raise ConnectionError("Couldn't reach 'nobody/nothing' on the Hub\n(offline)")

    monkeypatch.setattr(HfApi, "dataset_info", info)
    monkeypatch.setattr(hf.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hf, "load_dataset_builder", builder)
    words = r"^nobody/nothing: cannot be loaded by datasets \(Couldn't reach .* \(offline\)\)$"
    if not there:
        words = r"^'datasets:nobody/nothing': no such file .*, not in the cache, and .* reached \(no route to host\)$"
    with pytest.raises(ValueError, match=words):
        entries("nobody/nothing")
    assert asked == [not there] and hf.config.HF_HUB_OFFLINE is False
