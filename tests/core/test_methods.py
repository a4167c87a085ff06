"""Methods by name: presets, what fit refuses and warns of, and a method that another package registers."""

import json
import re
import sys
import textwrap
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from modtrans_core import (
    CalibratedConfig,
    CalibratedTranslator,
    PairedEmbeddings,
    Pairing,
    PosterConfig,
    PosterTranslator,
    TrainConfig,
    evaluate,
    fit,
    load,
    methods,
    preset,
)
from modtrans_core import run as runs
from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run as run_verb
from modtrans_core.methods import NO_SKILL, method, names, own_vectors, presets, translated_scores
from modtrans_core.scores import score
from modtrans_core.store.files import RUN
from modtrans_core.vectors import mean_of_unit

SMALL = {"width": 16, "depth": 1, "train.steps": 3}


def make_pairs(n=120, k=8, d=6, seed=0, **more):
    rng = np.random.default_rng(seed)
    c = rng.normal(size=(n, k))
    z = c @ np.random.default_rng(99).normal(size=(k, d)) / np.sqrt(k) + 0.3 * rng.normal(size=(n, d))
    return PairedEmbeddings({"image": c, "text": z}, **more)


def far_from_the_origin(n=200):
    """Targets that share a long mean, of which a linear map of centred conditions knows nothing."""
    rng = np.random.default_rng(0)
    return PairedEmbeddings({"image": rng.normal(size=(n, 8)), "text": 5 + rng.normal(size=(n, 6))})


def test_the_default_is_calibrated():
    fitted = fit(make_pairs(), device="cpu")
    assert isinstance(fitted, CalibratedTranslator) and fitted.config == CalibratedConfig()
    assert fitted.facts[:4] == ("image", "text", 8, 6)
    assert fit(make_pairs(), "text", "image", device="cpu").facts[:4] == ("text", "image", 6, 8)


def test_a_preset_is_fitted_with_settings_in_its_place():
    fitted = fit(make_pairs(), preset="poster", settings={**SMALL, "gamma": 0.5}, device="cpu")
    assert isinstance(fitted, PosterTranslator)
    assert fitted.config == PosterConfig(gamma=0.5, width=16, depth=1, train=TrainConfig(steps=3))
    assert fit(make_pairs(), settings={"goal": "cosine"}, device="cpu").config == CalibratedConfig(goal="cosine")


def test_a_config_says_which_method_and_settings_change_it_too():
    fitted = fit(
        make_pairs(), config=CalibratedConfig(landmarks=5), preset="poster", settings={"seed": 3}, device="cpu"
    )
    assert fitted.config == CalibratedConfig(landmarks=5, seed=3)


def test_presets_by_name():
    assert names()[:2] == ["calibrated", "poster"]
    assert presets()["calibrated"] == preset("calibrated") == CalibratedConfig()
    assert presets()["poster"] == preset("poster") == PosterConfig()
    assert preset("poster", {"train.steps": 9}) == PosterConfig(train=TrainConfig(steps=9))


@dataclass(frozen=True)
class Stranger:
    size: int = 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"config": Stranger()}, "^config: Stranger, that of a method among calibrated, poster.* is needed$"),
        ({"preset": "best"}, "^preset: 'best', one of .*calibrated.*poster.* is needed$"),
        ({"preset": "poster", "settings": {"gama": 1}}, "'gama' is not a setting; settings are gamma, width"),
        ({"settings": {"gamma": 1}}, "'gamma' is not a setting; settings are landmarks, goal, network, seed"),
        ({"preset": "poster", "settings": {"gamma": "wide"}}, "^gamma: 'wide', float is needed$"),
        ({"preset": "poster", "settings": {"train.steps": 1.5}}, "^train.steps: 1.5, int is needed$"),
        ({"preset": "poster", "settings": {"gamma": -1}}, "^gamma: -1, a number >= 0 is needed$"),
        ({"settings": {"landmarks": -1}}, "^landmarks: -1, at least 0 is needed$"),
        (
            {"settings": {"goal": "fame"}},
            "^goal: 'fame', cosine, balanced, retrieval or a number from 0 to 1 is needed$",
        ),
        ({"target": "sound"}, "modality 'sound': not in this pair set"),
        ({"validation": make_pairs(k=9)}, "^image: dimension 9, but the translator was trained on 8$"),
        ({"pairs": make_pairs(1), "preset": "poster"}, "^group: 1 groups, 2 are needed, one a part, as"),
        ({"config": CalibratedConfig}, "^config: type, that of a method among"),
        ({"config": {"landmarks": 3}}, "^config: dict, that of a method among"),
        ({"out": None, "resume": True}, "^out: None, a run folder, as resume is given, is needed$"),
        ({"out": None, "overwrite": True}, "^out: None, a run folder, as overwrite is given, is needed$"),
        ({"out": None, "split": {"seed": 1}}, "^out: None, a run folder, as split is given, is needed$"),
        ({"out": None, "log": print}, "^out: None, a run folder, as log is given, is needed$"),
        ({"pairs": make_pairs(1)}, "^pairs: 1 item, at least 2 to leave out in turn are needed$"),
    ],
)
def test_the_impossible_is_refused_in_one_line_before_any_work(tmp_path, arguments, words):
    with pytest.raises(ValueError, match=words) as caught:
        fit(**{"pairs": make_pairs(), "out": tmp_path / "run", "device": "cpu", **arguments})
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


def test_validation_pairs_of_another_encoder_are_refused():
    made = [make_pairs(9, metadata={"text": {"encoder": name}}) for name in ("a", "b")]
    with pytest.raises(ValueError, match="^text: encoder b, but the translator was trained on a$"):
        fit(made[0], validation=made[1], device="cpu")


def test_without_validation_pairs_an_eighth_is_kept_whole_groups():
    pairs = make_pairs(group=np.arange(120) // 5)
    train, validation = pairs.split(0, (0.875, 0.125), own=False)
    assert len(validation) == 15
    fitted, same = (
        fit(*given, validation=held, device="cpu", preset="poster", settings=SMALL).translate(
            make_pairs(5).modality("image")
        )
        for given, held in (((pairs,), None), ((train,), validation))
    )
    np.testing.assert_array_equal(fitted, same)


def test_a_translator_worse_than_the_constant_mean_is_warned_of_and_remembered(tmp_path, capsys, monkeypatch):
    """The poster's map has no constant: of targets far from the origin it knows less than their mean."""
    monkeypatch.chdir(tmp_path)
    pairs = far_from_the_origin()
    pairs.save("pairs.npz")
    with pytest.warns(UserWarning, match=rf"^poster \(image \d+ -> text \d+\): skill -\d.*: {NO_SKILL}$"):
        fitted = fit(pairs, preset="poster", settings={**SMALL, "gamma": 0.0}, out="run", device="cpu")
    skill = runs.description("run")["validation_skill"]
    assert skill < 0
    held = pairs.split(0, (0.875, 0.125), own=False)[1]
    assert translated_scores(fitted, held)["skill"] == pytest.approx(skill)
    assert run_verb(VERBS, "modtrans", "", ["evaluate", "run", "pairs.npz", "--split", "all"]) == 0
    assert f"note: skill {skill:.3f} on the run's validation pairs: {NO_SKILL}" in capsys.readouterr().err
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(pairs, device="cpu", out="calibrated")  # has the mean in it
    assert runs.description("calibrated")["validation_skill"] is None  # no pair is kept from it
    assert run_verb(VERBS, "modtrans", "", ["evaluate", "calibrated", "pairs.npz", "--split", "all"]) == 0
    assert "note: skill" not in capsys.readouterr().err


def test_where_there_is_no_skill_nobody_is_warned(tmp_path):
    """Captions of an item that agree less with each other than with the mean leave nothing between the two."""
    apart = np.tile([[1.0, 0.5, 0.0], [-1.0, 0.5, 0.0]], (40, 1, 1)) + 0.01 * np.random.default_rng(0).normal(
        size=(40, 2, 3)
    )
    arrays = {"image": make_pairs(40).modality("image"), "text": apart}
    pairs = PairedEmbeddings(arrays, metadata={"independent": ["text"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert translated_scores(fit(pairs, device="cpu", out=tmp_path / "run"), pairs)["skill"] is None
    assert runs.description(tmp_path / "run")["validation_skill"] is None


def test_evaluate_scores_every_condition_against_its_items_targets():
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings(
        {"image": rng.normal(size=(60, 8)), "text": rng.normal(size=(60, 3, 6))}, {"text": rng.integers(1, 4, 60)}
    )
    for source, target in (("image", "text"), ("text", "image")):
        fitted = fit(pairs, source, target, device="cpu")
        rows, item = pairs.rows(source)
        expected = score(
            fitted.translate(rows), pairs.modality(target), pairs.counts.get(target),
            mean=fitted.mean.numpy(), item=item, own=own_vectors(fitted, Pairing(pairs, source, target)),
        )  # fmt: skip
        assert translated_scores(fitted, pairs) == expected
    with pytest.raises(ValueError, match="image: dimension 9"):
        evaluate(fitted, make_pairs(k=9))


def test_items_without_a_class_are_not_of_one_class():
    """-1 is no class: for mAP such an item is like itself alone."""
    rng = np.random.default_rng(0)
    c, z = rng.normal(size=(2, 40, 6))
    train, pairs = (PairedEmbeddings({"image": a, "text": b}) for a, b in ((c, z), (z, c)))
    translator = fit(train, preset="ridge", device="cpu")
    numbers = np.where(np.arange(40) < 20, np.arange(40) // 2, -1)

    def found(label):
        labelled = PairedEmbeddings(pairs.arrays, label=label)
        return translated_scores(translator, labelled, ranking=True)["rankings"]["plain"]["map"]

    assert found(numbers) == found(np.where(numbers < 0, 10 + np.arange(40), numbers)) < found(numbers + 1) - 0.05


def test_settings_of_evaluate_are_those_of_translate():
    fitted = fit(make_pairs(), preset="poster", settings={**SMALL, "train.steps": 30, "steps": 2}, device="cpu")
    pairs = make_pairs(seed=1)
    one, other = (evaluate(fitted, pairs, seed=seed, steps=5)["cosine"] for seed in (0, 1))
    assert one != other and evaluate(fitted, pairs, seed=0, steps=5)["cosine"] == one
    with pytest.raises(ValueError, match="steps: 0"):
        evaluate(fitted, pairs, steps=0)


def test_a_method_of_a_notebook_is_known_to_its_process_and_can_be_replaced(monkeypatch, tmp_path):
    monkeypatch.setattr(methods, "_OWN", {})
    for name in ("ridge", "calibrated"):
        with pytest.raises(ValueError, match=f"method: '{name}', a name that no other method has is needed"):
            methods.register(name, methods.method("ridge"))

    @dataclass(frozen=True)
    class OwnConfig:
        penalty: float = 1.0

    for penalty in (1.0, 100.0):
        ridge = methods.method("ridge")
        own = ridge._replace(config=OwnConfig, presets={"own": OwnConfig(penalty)})
        methods.register("own", own)
    assert methods.names()[-1] == "own" and methods.preset("own") == OwnConfig(100.0)
    fit(make_pairs(), preset="own", device="cpu", out=tmp_path / "run")
    assert load(tmp_path / "run").config == OwnConfig(100.0)
    methods._OWN.clear()
    with pytest.raises(ValueError, match="method: 'own', one of"):
        load(tmp_path / "run")


@dataclass(frozen=True)
class Paired:
    pair: tuple = (1, 2)


@dataclass(frozen=True)
class Unset:
    rate: float | None = None


RIDGE = methods.method("ridge")


def test_a_fit_that_gives_no_translator_is_one_line(monkeypatch):
    monkeypatch.setattr(methods, "_OWN", {})
    methods.register("mine", RIDGE._replace(config=Stranger, presets={"mine": Stranger()}, fit=lambda *given: None))
    with pytest.raises(ValueError, match="^method: 'mine': fit: None, a translator is needed"):
        fit(make_pairs(40), preset="mine", device="cpu")


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (None, "None, a modtrans_core.protocol.Method is needed"),
        (tuple(RIDGE), r".*, a modtrans_core.protocol.Method is needed"),
        (RIDGE._replace(presets={}), "config: 'RidgeConfig', another class than that of 'ridge' is needed"),
        (RIDGE._replace(config=dict), "config: <class 'dict'>, a dataclass is needed"),
        (RIDGE._replace(config=Stranger()), "config: .*, a dataclass is needed"),
        (RIDGE._replace(config=Stranger, presets=None), "presets: None, Stranger by names is needed"),
        (RIDGE._replace(config=Stranger), "presets: .*, Stranger by names is needed"),
        (RIDGE._replace(config=Paired), "config.pair: .*tuple.*, int, float, bool, text, text or a number, or a data"),
        (RIDGE._replace(config=Unset), "config.rate: .*None.*, int, float, bool, text, text or a number, or a data"),
        (
            RIDGE._replace(config=Stranger, presets={"mine": Stranger(), "calibrated": Stranger()}),
            "presets: 'calibrated', a name that 'calibrated' has no preset of is needed",
        ),
    ],
)
def test_a_method_that_would_be_taken_for_another_is_refused(own, words, monkeypatch):
    monkeypatch.setattr(methods, "_OWN", {})
    with pytest.raises(ValueError, match=f"^method: 'mine'(: |, )?.*{words}"):
        methods.register("mine", own)
    assert fit(make_pairs(40), device="cpu").method == "calibrated"


TINY = """
    from dataclasses import dataclass

    import numpy as np
    import torch

    from modtrans_core.protocol import Method, Stored, conditions, like


    @dataclass(frozen=True)
    class TinyConfig:
        shrink: float = 1.0


    class TinyTranslator(Stored):
        method = "tiny"

        def __init__(self, facts, config, mean):
            self.facts, self.config, self.mean = facts, config, mean

        def translate(self, c):
            rows = conditions(c, self.facts, self.mean.device)
            return like(self.config.shrink * self.mean.float().expand(len(rows), -1), c)

        def tensors(self):
            return {"mean": self.mean}


    def fit(pairing, validation, facts, config, device, run, report):
        report(1, 1)
        return TinyTranslator(facts, config, torch.from_numpy(pairing.mean()).to(device))


    def restore(facts, config, tensors, device):
        return TinyTranslator(facts, config, tensors["mean"].to(device))


    METHOD = Method(TinyConfig, fit, restore, {"tiny": TinyConfig(), "tinier": TinyConfig(0.5)})
"""


@pytest.fixture
def register(tmp_path, monkeypatch):
    """Install a package with these entry points, `name = module:attribute` each, and modules by their text."""
    home = tmp_path / "site"
    home.mkdir()
    monkeypatch.syspath_prepend(home)

    def registered(entries, **modules):
        found = home / "thirdparty-0.1.dist-info"
        found.mkdir()
        (found / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 0.1\n")
        (found / "entry_points.txt").write_text("[modtrans.methods]\n" + "\n".join(entries))
        for name, text in modules.items():
            (home / f"{name}.py").write_text(textwrap.dedent(text))
            monkeypatch.delitem(sys.modules, name, raising=False)

    return registered


@pytest.fixture
def tiny(register):
    register(["tiny = tiny_method:METHOD"], tiny_method=TINY)
    yield
    sys.modules.pop("tiny_method", None)


def test_a_registered_method_is_one_of_ours(tiny, tmp_path):
    assert "tiny" in names() and {"tiny", "tinier", "poster", "calibrated"} <= set(presets())
    assert preset("tinier").shrink == 0.5
    pairs = make_pairs()
    fitted = fit(pairs, preset="tiny", settings={"shrink": 0.25}, out=tmp_path / "run", device="cpu")
    assert (fitted.method, fitted.config.shrink) == ("tiny", 0.25)
    assert runs.description(tmp_path / "run")["method"] == "tiny"
    train = pairs.split(0, (0.875, 0.125), own=False)[0]
    np.testing.assert_allclose(fitted.mean, mean_of_unit(train.modality("text")))
    for other in (load(tmp_path / "run"), fit(pairs, config=method("tiny").config(0.25), device="cpu")):
        assert translated_scores(other, pairs) == translated_scores(fitted, pairs)
    fitted.save(tmp_path / "saved")
    assert load(tmp_path / "saved").config == fitted.config
    with pytest.raises(ValueError, match="shrink: 'x', float is needed"):
        fit(pairs, preset="tiny", settings={"shrink": "x"})


def test_a_registered_method_works_on_the_command_line(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_pairs().save("pairs.npz")
    np.save("c.npy", make_pairs(9).modality("image"))

    def modtrans(*arguments):
        return run_verb(VERBS, "modtrans", "", list(arguments)), *capsys.readouterr()

    status, _, err = modtrans("train", "pairs.npz", "--out", "run", "--preset", "tiny", "--set", "shrink=0.5")
    assert status == 0 and "run: done" in err
    status, out, _ = modtrans("evaluate", "run", "pairs.npz", "--json")
    assert status == 0 and json.loads(out)["skill"] == pytest.approx(0, abs=0.1)
    assert modtrans("translate", "run", "c.npy", "z.npy")[0] == 0 and np.load("z.npy").shape == (9, 6)
    status, _, err = modtrans("translate", "run", "c.npy", "draws.npy", "--samples", "2")
    assert status == 1 and "draw: method 'tiny' cannot do it, and a method that can is needed" in err
    status, _, err = modtrans("train", "pairs.npz", "--out", "no", "--preset", "tiny", "--train-steps", "3")
    assert status == 1 and "train-steps: 3, a preset with steps, such as poster, is needed" in err


def test_an_installed_method_takes_no_preset_of_another(register):
    taken = TINY.replace('"tinier"', '"poster"')
    register(
        ["tiny = tiny_method:METHOD", "twin = tiny_method:METHOD", "bold = bold:METHOD"], tiny_method=TINY, bold=taken
    )
    with pytest.warns(UserWarning, match="^method: '(twin|bold)': .* needed; 1 other methods neither"):
        assert presets()["poster"] == PosterConfig()
    with pytest.warns(UserWarning):
        assert fit(make_pairs(40), preset="tiny", device="cpu").method == "tiny"


@pytest.mark.filterwarnings("ignore:.*the constant mean:UserWarning")
@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("broken = broken_method:METHOD", "import a_package_that_is_not_there"),
        ("broken = broken_method:METHOD", "METHODS = 1"),
        ("broken = broken_method:METHOD", "raise RuntimeError('two\\nlines')"),
        ("broken = broken_method:METHOD", "METHOD = 'not a method'"),
        ("broken = broken_method", "x = 1"),
        ("broken = no_such_module:METHOD", ""),
    ],
)
def test_a_method_that_cannot_be_loaded_is_one_line_and_stops_no_other(register, tmp_path, entry, text):
    register([entry, "tiny = tiny_method:METHOD"], broken_method=text, tiny_method=TINY)
    with pytest.raises(ValueError, match=r"method: 'broken' \(.*\) cannot be loaded: ") as caught:
        method("broken")
    assert "\n" not in str(caught.value)
    with pytest.warns(UserWarning, match="method: 'broken' .* cannot be loaded"):
        assert {"tiny", "poster", "calibrated"} <= set(presets())
    pairs = make_pairs(40)
    assert isinstance(fit(pairs, device="cpu"), CalibratedTranslator)
    with pytest.warns(UserWarning, match="method: 'broken' .* cannot be loaded"):
        assert fit(pairs, preset="tiny", device="cpu").method == "tiny"
    fit(pairs, device="cpu").save(tmp_path / "run")
    described = json.loads((tmp_path / "run" / runs.DESCRIPTION).read_text())
    (tmp_path / "run" / runs.DESCRIPTION).write_text(json.dumps({**described, "method": "broken"}))
    with pytest.raises(ValueError, match=r"method: 'broken' \(.*\) cannot be loaded: "):
        load(tmp_path / "run")
    sys.modules.pop("tiny_method", None)


def test_the_device_is_where_it_works():
    fitted = fit(make_pairs(), preset="poster", settings=SMALL, device=torch.device("cpu"))
    assert fitted.device == torch.device("cpu")
    assert fit(make_pairs(), device="cpu").device == torch.device("cpu")


def test_a_modality_is_not_translated_into_itself():
    with pytest.raises(ValueError, match="target: 'image', another modality than the source is needed"):
        fit(PairedEmbeddings({"image": np.random.default_rng(0).normal(size=(40, 4))}), "image", "image")


@pytest.mark.parametrize("setting", ["landmarks", "train.steps"])
def test_a_setting_that_is_gone_is_not_its_default(tmp_path, setting):
    name = "poster" if "." in setting else "calibrated"
    fit(make_pairs(40), preset=name, settings={"train.steps": 2} if name == "poster" else {}).save(tmp_path)
    file = tmp_path / runs.DESCRIPTION
    described = json.loads(file.read_text())
    *path, last = setting.split(".")
    del (described["config"][path[0]] if path else described["config"])[last]
    file.write_text(json.dumps(described))
    with pytest.raises(ValueError, match=f"config: 'without {setting}', every setting"):
        load(tmp_path)


def test_a_run_in_a_folder_whose_name_is_no_text_is_refused(tmp_path):
    translator = fit(make_pairs(40))
    with pytest.raises(ValueError, match="a name in UTF-8 is needed"):
        translator.save(tmp_path / "\udcff")


def test_a_run_is_not_written_through_a_link(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    translator = fit(make_pairs(40))
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="link: a link, and nothing is written through links"):
            translator.save(tmp_path / "link", overwrite)
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("name", [*RUN, runs.CARD])
def test_of_links_in_a_run_folder_those_of_its_own_names_are_refused(tmp_path, name):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (folder / "wandb").mkdir(parents=True)
    elsewhere.write_text("mine")
    (folder / "wandb" / "latest-run").symlink_to(tmp_path)  # as Weights & Biases does in the folder that it is given
    translator = fit(make_pairs(40), out=folder)
    translator.save(folder, overwrite=True)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(ValueError, match=f"{name}: a link, and nothing is written through links"):
        translator.save(folder, overwrite=True)
    assert elsewhere.read_text() == "mine" and (folder / "wandb" / "latest-run").is_symlink()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda pairs, _: fit(pairs.modality("image"), pairs.modality("text")), "pairs: ndarray, PairedEmbeddings"),
        (lambda pairs, _: fit(dict(pairs.arrays)), "pairs: dict, PairedEmbeddings"),
        (lambda pairs, _: fit(pairs, validation=dict(pairs.arrays)), "validation: dict, PairedEmbeddings"),
        (lambda pairs, translator: evaluate(translator, dict(pairs.arrays)), "pairs: dict, PairedEmbeddings"),
        (lambda pairs, translator: evaluate(pairs, translator), "translator: PairedEmbeddings, what mt.fit or mt.load"),
        (lambda pairs, translator: evaluate(translator, translator), "pairs: CalibratedTranslator, PairedEmbeddings"),
        (lambda pairs, translator: translator.facts.unseen(pairs.arrays), "pairs: dict, PairedEmbeddings"),
        (lambda pairs, _: Pairing(dict(pairs.arrays), "image", "text"), "pairs: dict, PairedEmbeddings"),
    ],
)
def test_what_is_no_pair_set_is_refused_in_one_line(call, words):
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings({name: rng.normal(size=(40, 3)) for name in ("image", "text")})
    with pytest.raises(ValueError, match=f"^{re.escape(words)}"):
        call(pairs, fit(pairs, device="cpu"))


def test_a_translation_that_is_zero_is_named_with_its_translator():
    rng = np.random.default_rng(0)
    arrays = {"image": rng.normal(size=(40, 3)), "text": np.ones((40, 4))}
    pairs = PairedEmbeddings(arrays, group=np.arange(40))
    translator = fit(pairs, settings={"goal": "retrieval"}, device="cpu")
    words = r"^calibrated \(image 3 -> text 4\): the translation of row 0 of 40: zero, NaN or infinite; finite numbers"
    with pytest.warns(UserWarning, match="are no test"), pytest.raises(ValueError, match=words):
        evaluate(translator, pairs)
