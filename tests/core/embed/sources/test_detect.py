"""A bare path is taken for the kind that it looks like."""

import json

import pytest

from modtrans_core.embed.sources import SOURCES, load_source
from modtrans_core.embed.sources.detect import SIGNS


def test_each_kind_is_told_from_what_lies_there(tmp_path, monkeypatch):
    coco, flickr, folder = (tmp_path / name for name in ("a", "b", "c"))
    (coco / "annotations").mkdir(parents=True)
    (coco / "val2017").mkdir()
    content = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "one"}]}
    (coco / "annotations" / "captions_val2017.json").write_text(json.dumps(content))
    (flickr / "Images").mkdir(parents=True)
    (flickr / "captions.txt").write_text("image,caption\n1.jpg,one\n")
    folder.mkdir()
    (folder / "captions.jsonl").write_text('{"image": "1.jpg", "caption": "one"}\n')
    monkeypatch.chdir(tmp_path)
    for path, kind in [(coco, "coco"), (flickr, "flickr"), (folder, "folder")]:
        for name in (str(path), path.name):
            assert load_source(name).identity() == load_source(f"{kind}:{path}").identity()


def test_every_sign_is_of_a_kind_that_there_is():
    assert set(SIGNS) <= set(SOURCES)


def test_what_looks_like_nothing_is_one_line(tmp_path):
    with pytest.raises(ValueError) as error:
        load_source(str(tmp_path))
    said = str(error.value)
    assert said.startswith(f"{tmp_path}: looks like no source; looked for (") and "\n" not in said
    assert all(sign in said for signs in SIGNS.values() for sign in signs)
    (tmp_path / "coco:x").mkdir()
    with pytest.raises(ValueError, match="no such path; known: openmoji"):
        load_source(str(tmp_path / "gone"))
    with pytest.raises(ValueError, match="folder:PATH is needed"):
        load_source("folder")
