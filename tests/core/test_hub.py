"""A translator with its card, in a folder and in a repository of a hub that stands in for the real one."""

import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings, evaluate, fit
from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run
from modtrans_core.hub import card, from_pretrained, push_to_hub, save_pretrained

RNG = np.random.default_rng(0)
C = RNG.normal(size=(80, 6))
METADATA = {"dataset": {"name": "Drawn", "licence": "CC0"}, "image": {"encoder": "timm:a/b"}, "independent": ["text"]}
TEXT = (C @ RNG.normal(size=(6, 5)))[:, None] + 0.4 * RNG.normal(size=(80, 2, 5))
PAIRS = PairedEmbeddings({"image": C, "text": TEXT}, metadata=METADATA)
TRAIN, VALIDATION, TEST = PAIRS.split(0)


@pytest.fixture(scope="module")
def translator():
    return fit(TRAIN, validation=VALIDATION)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub in a folder, which takes what `huggingface_hub` is asked to send and gives it back."""
    place = tmp_path / "hub"

    class Api:
        def __init__(self, token=None):
            self.token = token

        def create_repo(self, name, *, private, exist_ok):
            assert exist_ok and self.token == "secret"
            (place / name).mkdir(parents=True, exist_ok=True)

        def upload_folder(self, *, repo_id, folder_path, revision, commit_message):
            shutil.copytree(folder_path, place / repo_id, dirs_exist_ok=True)
            return f"https://hub/{repo_id}/commit/1 {commit_message}"

    def download(name, *, revision, token, allow_patterns):
        shutil.copytree(place / name, tmp_path / "cache")
        for file in (tmp_path / "cache").iterdir():
            if file.name not in allow_patterns:
                file.unlink()
        return str(tmp_path / "cache")

    fake = SimpleNamespace(HfApi=Api, snapshot_download=download)
    monkeypatch.setattr("modtrans_core.hub.require", lambda module, extra: fake)
    return place


def test_what_cannot_be_reached_is_one_line(monkeypatch):
    def fails(*_, **__):
        raise FileNotFoundError("no connection\nTry again")

    monkeypatch.setattr("modtrans_core.hub.require", lambda module, extra: SimpleNamespace(snapshot_download=fails))
    with pytest.raises(
        ValueError, match=r"^no/one: is no folder here, and cannot be fetched from the hub: no connection Try again$"
    ):
        from_pretrained("no/one")
    with pytest.raises(ValueError, match=r"test_hub.py: a file, a folder or owner/name is needed$"):
        from_pretrained(__file__)


def test_what_cannot_be_written_says_where_and_what_to_do(monkeypatch, translator):
    class Api:
        endpoint = "https://hub"

        def __init__(self, token):
            pass

        def create_repo(self, *_, **__):
            raise type("ConnectError", (Exception,), {})("no\nroute")

    monkeypatch.setattr("modtrans_core.hub.require", lambda module, extra: SimpleNamespace(HfApi=Api))
    words = "no/one: cannot be written to https://hub: no route; look at the network, and at the token of `hf auth"
    with pytest.raises(ValueError, match=f"^{words}"):
        push_to_hub(translator, "no/one")


@pytest.mark.parametrize(
    ("given", "words"),
    [({"certificate": 5}, "certificate: 5, a text is needed"), ({"test": "a"}, "test: 'a', a PairedEmbeddings is")],
)
def test_a_card_is_of_texts_and_pairs(tmp_path, translator, given, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        save_pretrained(translator, tmp_path / "mine", **given)
    assert not (tmp_path / "mine").exists()


def said(card, score):
    return re.search(rf"^\| {score} \| (.*?) \|", card, re.M)[1]


def test_a_folder_holds_the_translator_and_what_is_known_of_it(tmp_path, monkeypatch, translator, capsys):
    monkeypatch.chdir(tmp_path)
    save_pretrained(translator, "mine", test=PAIRS, certificate="At least half of them.\n")
    card, scores = (tmp_path / "mine" / "README.md").read_text(), evaluate(translator, TEST)
    assert card.startswith("---\nlibrary_name: modtrans\n") and "Method: calibrated." in card
    assert f"Of {len(TEST)} items of Drawn, licence CC0, none of which it was fitted to." in card
    for name in ("cosine", "floor", "ceiling", "skill", "own_recall_at_10"):
        assert float(said(card, name)) == pytest.approx(scores[name], rel=1e-3)
    assert "- image: timm:a/b\n- text: not known\n" in card and "```text\nAt least half of them.\n```" in card
    again = from_pretrained("mine", device="cpu")
    np.testing.assert_array_equal(again.translate(C), translator.translate(C))
    PAIRS.save("pairs.npz")
    assert run(VERBS, "modtrans", "", ["evaluate", "mine", "pairs.npz"]) == 0
    assert f"used the {len(TEST)} items of 80" in capsys.readouterr().err
    code = re.search(r"```python\n(.*?)```", card, re.S)[1].replace("FOLDER-OR-REPOSITORY", "mine")
    names = {"c": C}
    exec(code, names)
    np.testing.assert_array_equal(names["zhat"], translator.translate(C))


def test_what_is_not_known_is_said_so(tmp_path, translator):
    save_pretrained(translator, tmp_path / "mine")
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "## Scores\n\nNothing was measured.\n" in card and "## Certificate\n\nNone was made.\n" in card
    with pytest.raises(ValueError, match=r"README.md: exists"):
        save_pretrained(translator, tmp_path / "mine")
    unnamed = PairedEmbeddings({"image": C, "text": TEXT[:, 0]})
    save_pretrained(translator, tmp_path / "mine", test=unnamed, overwrite=True)
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "of a data set without a name, none of" in card and said(card, "ceiling") == "not known"
    with pytest.raises(ValueError, match="was fitted to all"):
        save_pretrained(translator, tmp_path / "other", test=TRAIN)
    assert not (tmp_path / "other").exists()


def test_there_and_back(hub, translator):
    address = push_to_hub(translator, "me/image-to-text", test=TEST, token="secret")
    assert address == "https://hub/me/image-to-text/commit/1 A translator from image to text"
    files = {file.name for file in (hub / "me" / "image-to-text").iterdir()}
    assert files == {"README.md", "translator.json", "model.safetensors", "seen.safetensors"}
    again = from_pretrained("me/image-to-text")
    np.testing.assert_array_equal(again.translate(C), translator.translate(C))
    assert len(again.facts.unseen(PAIRS)) == len(TEST)


def test_the_hub_takes_these_arguments():
    """The stand-in above and the library agree, so that a change of the latter is noticed here."""
    from inspect import signature

    from huggingface_hub import HfApi, snapshot_download

    signature(HfApi).bind(token="secret")
    signature(HfApi.create_repo).bind(None, "me/x", private=None, exist_ok=True)
    arguments = {"repo_id": "me/x", "folder_path": "x", "revision": None, "commit_message": "x"}
    signature(HfApi.upload_folder).bind(None, **arguments)
    signature(snapshot_download).bind("me/x", revision=None, token=None, allow_patterns=["x"])


def test_a_readme_that_is_no_card_is_left_alone(tmp_path, translator):
    (tmp_path / "README.md").write_text("# My project")
    with pytest.raises(ValueError, match="README.md: is no card of a translator"):
        save_pretrained(translator, tmp_path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]
    (tmp_path / "README.md").unlink()
    (tmp_path / "README.md" / "pictures").mkdir(parents=True)
    with pytest.raises(ValueError, match="README.md: "):
        save_pretrained(translator, tmp_path, overwrite=True)
    shutil.rmtree(tmp_path / "README.md")
    for overwrite in (False, True):
        save_pretrained(translator, tmp_path, overwrite=overwrite)


def test_a_card_goes_with_the_translator_that_it_is_of(tmp_path, translator):
    """What it says, a certificate perhaps, is of no other; a user's own text stays."""
    for number, again in enumerate(
        [
            lambda folder: translator.save(folder, overwrite=True),
            lambda folder: fit(TRAIN, preset="ridge", out=folder, overwrite=True),
        ]
    ):
        save_pretrained(translator, folder := tmp_path / str(number))
        again(folder)
        assert not (folder / "README.md").exists()
        (folder / "README.md").write_text("# Mine")
        again(folder)
        assert (folder / "README.md").read_text() == "# Mine"


def test_what_a_reader_wrote_in_a_card_is_kept(tmp_path, translator, capsys):
    """The card goes with its translator; three hours of writing do not."""

    def by_hand(folder):
        (folder / "README.md").write_text("---\nlibrary_name: modtrans\n---\n# By hand\n")

    def add(folder):
        with open(folder / "README.md", "a") as file:
            file.write("\n## Intended use\n")

    def insert(folder):
        text = (folder / "README.md").read_text()
        (folder / "README.md").write_text(text.replace("## Scores", "Licence: mine.\n\n## Scores"))

    ways = [
        lambda folder: translator.save(folder, overwrite=True),
        lambda folder: fit(TRAIN, preset="ridge", out=folder, overwrite=True),
        lambda folder: save_pretrained(translator, folder, overwrite=True),
    ]
    for number, (change, again) in enumerate([(change, again) for change in (by_hand, add, insert) for again in ways]):
        save_pretrained(translator, folder := tmp_path / str(number), test=TEST, certificate="<!-- None -->")
        change(folder)
        written = (folder / "README.md").read_text()
        again(folder)
        assert (folder / "README.md.old").read_text() == written
        said = f"{folder / 'README.md'}: what was changed in it is kept in README.md.old\n"
        assert said in capsys.readouterr().err
        if again is ways[2]:
            again(folder)
            assert "## Scores" in (folder / "README.md").read_text() and not (folder / "README.md.old1").exists()
        else:
            assert not (folder / "README.md").exists()
    save_pretrained(translator, folder := tmp_path / "ends of Windows")
    (folder / "README.md").write_bytes((folder / "README.md").read_bytes().replace(b"\n", b"\r\n"))
    ways[0](folder)
    assert not [*folder.glob("README*")] and not capsys.readouterr().err


@pytest.mark.parametrize("text", ["kNN [k=5]", "#7", "@x", "yes", "{x}", "a: b", "two\n## lines", "'q'"])
def test_no_text_breaks_out_of_its_place_in_a_card(translator, text):
    yaml = pytest.importorskip("yaml")
    metadata = {"dataset": {"name": text, "licence": text}, "image": {"encoder": text}}
    facts = translator.facts._replace(encoders={"image": {"encoder": text}}, seen=None)

    named = replace(translator, facts=facts)
    object.__setattr__(named, "method", text)
    _, head, body = card(named, PairedEmbeddings({"image": C, "text": TEXT}, metadata=metadata)).split("---\n", 2)
    assert yaml.safe_load(head)["tags"] == ["embeddings", "modality-translation", text.replace(" ", "-")]
    assert [line for line in body.splitlines() if line.startswith("## ")] == [
        "## Encoders",
        "## Scores",
        "## Certificate",
    ]


def test_a_card_that_cannot_be_read_or_moved_costs_no_run(tmp_path, translator, monkeypatch):
    """A colleague's in a folder of a group: it is refused before the work, and a run stays where the card cannot go."""
    save_pretrained(translator, tmp_path / "mine")
    before = {file.name: file.read_bytes() for file in (tmp_path / "mine").iterdir()}

    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    for name in ("is_card", "drop_card"):
        with monkeypatch.context() as patch:
            patch.setattr(f"modtrans_core.run.{name}", denied)
            for again in (
                lambda: translator.save(tmp_path / "mine", overwrite=True),
                lambda: fit(TRAIN, preset="ridge", out=tmp_path / "mine", overwrite=True),
            ):
                with pytest.raises(PermissionError):
                    again()
        assert before == {file.name: file.read_bytes() for file in (tmp_path / "mine").iterdir()}
