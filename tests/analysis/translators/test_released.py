"""The preset `released`: its network, what batch-wide normalisation does to a row, and its objective by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import modtrans_core as mt
from analysis.translators.certify import certify_translator
from analysis.translators.released import METHOD, ReleasedConfig, ReleasedTranslator, objective
from analysis.translators.skip_mlp import SkipMLP
from modtrans_core import PosterTranslator, TrainConfig, distributed, run
from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run as run_verb
from modtrans_core.protocol import Facts
from modtrans_core.settings import changed

K, D = 6, 16
SMALL = {
    "width": 16, "depth": 2, "steps": 3, "reconstruction_steps": 2, "train.steps": 12, "train.batch": 32,
}  # fmt: skip
FACTS = Facts("image", "text", K, D)


def released(**settings):
    return changed(METHOD.presets["released"], {**SMALL, **settings})


def fit(pairs, config, **options):
    return mt.fit(pairs, config=config, device="cpu", **options)


class RowByRow(ReleasedTranslator):
    """The same weights, every row of F normalised by itself."""

    row_by_row = True
    normalised = PosterTranslator.normalised


@pytest.fixture
def translator():
    return ReleasedTranslator(FACTS, released()).eval()


@pytest.fixture
def c():
    return np.random.default_rng(0).normal(size=(256, K)).astype(np.float32)


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    c = rng.normal(size=(150, K))
    return mt.PairedEmbeddings({"image": c, "text": c @ rng.normal(size=(K, D)) + 0.3 * rng.normal(size=(150, D))})


def norms(x):
    return np.linalg.norm(x, axis=-1)


def test_the_network_has_the_published_size():
    with torch.device("meta"):  # its size alone: nothing is allocated
        network = SkipMLP(512, 512, 2048, 10, 0.0)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(73e6, rel=0.01)


def test_every_layer_sees_the_input_again():
    """With the layer before it silenced, a layer still tells one x from another; so does the output."""
    network = SkipMLP(D, K, 16, 3, 0.0)
    x, t, condition = torch.randn(5, D), torch.zeros(1), network.embed(torch.randn(5, K))
    for silenced in network.layers:
        handle = silenced.register_forward_hook(lambda _, __, h: torch.zeros_like(h))
        assert network(x, t, condition).std(0).min() > 1e-3
        handle.remove()
    assert [layer[0].in_features for layer in network.layers] == [2 * D + K, 16 + 2 * D + K, 16 + 2 * D + K]


@pytest.mark.parametrize("part", ["x", "t", "condition"])
def test_the_network_listens_to_each_part_of_its_input(part):
    network = SkipMLP(D, K, 16, 2, 0.0)
    given = {"x": torch.randn(3, D), "t": torch.zeros(3), "condition": network.embed(torch.randn(3, K))}
    before = network(**given)
    given[part] = given[part] + 1
    assert (network(**given) - before).abs().max() > 1e-3


def test_the_null_condition_replaces_the_dropped_rows_only():
    network = SkipMLP(D, K, 16, 2, 0.0)
    c, x, drop = torch.randn(4, K), torch.randn(4, D), torch.tensor([True, False, True, False])
    mixed = network(x, torch.zeros(1), network.embed(c, drop))
    torch.testing.assert_close(mixed[drop], network(x, torch.zeros(1), network.embed(None))[drop])
    torch.testing.assert_close(mixed[~drop], network(x, torch.zeros(1), network.embed(c))[~drop])


@pytest.mark.parametrize("B", [1, 16, 256])
def test_a_row_of_a_batch_has_length_about_one_over_root_B(translator, c, B):
    f = translator.parts(c[:B]).direction
    assert norms(f.ravel()) == pytest.approx(1, rel=1e-5)  # the batch as a whole has length 1
    assert np.square(norms(f)).mean() == pytest.approx(1 / B, rel=1e-5)
    assert np.median(norms(f)) == pytest.approx(B**-0.5, rel=0.2)


def test_one_row_alone_is_another_model_than_the_same_row_in_a_batch(translator, c):
    """With the same noise, the direction of F is the row's own; its length is the batch's."""
    with torch.no_grad():
        translator.M.copy_(torch.randn(K, D, generator=torch.Generator().manual_seed(0)))
    alone, among = translator.parts(c[:1]), translator.parts(c)
    np.testing.assert_allclose(alone.direction[0] * norms(among.direction[0]), among.direction[0], atol=1e-5)
    assert norms(alone.direction[0]) > 10 * norms(among.direction[0])
    difference = norms(translator.translate(c[:1])[0] - translator.translate(c)[0])
    assert difference > 0.8
    rows = RowByRow(FACTS, released()).eval()
    rows.load_state_dict(translator.state_dict())
    np.testing.assert_allclose(rows.translate(c[:1]), rows.translate(c)[:1], atol=1e-5)
    np.testing.assert_allclose(rows.translate(c[:1]), translator.translate(c[:1]), atol=1e-5)


def test_every_draw_is_a_batch_of_its_own(translator, c):
    residual = translator.draw(c, 3)  # M is zero and gamma one
    np.testing.assert_allclose(np.square(residual).sum((0, 2)), 1, rtol=1e-5)


def test_a_batch_is_one_call_however_it_is_computed(translator, c, monkeypatch):
    whole = translator.translate(c)
    monkeypatch.setattr("modtrans_core.protocol.ROWS", 100)
    np.testing.assert_allclose(translator.translate(c), whole, atol=1e-6)


def test_guidance_combines_whole_samples_from_two_noises(translator, c):
    """(1 + w) conditional - w unconditional, each sampled to the end from a noise of its own."""
    rows = torch.nn.functional.normalize(torch.from_numpy(c[:7]), dim=1)
    noise = torch.randn((7, *translator.noise_shape), generator=torch.Generator().manual_seed(1))
    assert noise.shape == (7, 2, D)
    with torch.no_grad():
        conditional = PosterTranslator.sampled(translator, rows, noise[:, 0], 3, 1.0)
        unconditional = PosterTranslator.sampled(translator, rows, noise[:, 1], 3, 0.0)
        w = 5.0
        expected = (1 + w) * conditional - w * unconditional
        torch.testing.assert_close(translator.sampled(rows, noise, 3, 1 + w), expected, rtol=1e-4, atol=1e-3)
        per_step = PosterTranslator.sampled(translator, rows, noise[:, 0], 3, 1 + w)
    assert (per_step - expected).norm() > 0.1 * expected.norm()


def test_beta_is_the_same_at_every_level(translator):
    alpha_bar = translator.alpha_bar()
    torch.testing.assert_close(alpha_bar[1:] / alpha_bar[:-1], torch.full((999,), 0.992, dtype=torch.float64))
    assert alpha_bar[0] == pytest.approx(0.992)


def test_the_preset_is_the_published_code():
    published = ReleasedConfig(
        gamma=1.0, width=2048, depth=10, dropout=0.0, timesteps=1000, prediction="eps", steps=50, guidance=6.0,
        lambda_1=2.0, lambda_2=1.0, reconstruction_steps=50, condition_dropout=0.1,
        train=TrainConfig(steps=2000, batch=256, learning_rate=1e-4, weight_decay=1e-2, ema=0.0),
    )  # fmt: skip
    assert METHOD.presets == {"released": published}
    with pytest.raises(ValueError, match="lambda_2: 0.0, a number > 0 where whole batches are dropped is needed"):
        ReleasedConfig(lambda_2=0.0)


def test_memory_that_is_not_there_is_refused_before_the_work(pairs, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 2**12 if name == "SC_PAGE_SIZE" else 2**18)
    with pytest.raises(ValueError, match=r"^train.batch: \d+\.\d GiB, at most the 1.0 GiB of this machine's memory"):
        fit(pairs, ReleasedConfig())


def test_it_says_what_the_batch_is(translator, c):
    for ask in (translator.translate, translator.parts, lambda c: translator.draw(c, 2)):
        with pytest.warns(UserWarning, match="normalised over these 1 rows at once"):
            ask(c[:1])


def test_dependent_rows_get_no_certificate(pairs):
    fitted = fit(pairs, released())
    with pytest.raises(ValueError, match="method: 'released', whose rows are normalised over their batch"):
        certify_translator(fitted, pairs, 0.5)
    rows = RowByRow(fitted.facts, fitted.config)
    rows.load_state_dict(fitted.state_dict())
    fresh = np.random.default_rng(1)
    unseen = mt.PairedEmbeddings({"image": fresh.normal(size=(40, K)), "text": fresh.normal(size=(40, D))})
    certificate = certify_translator(rows, unseen, 0.5)
    assert "premises" in certificate.statements and 0 <= certificate.statements["items"].limit <= 1


def test_several_processes_are_refused(pairs, monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", lambda *_: None)
    with pytest.raises(ValueError, match="processes: 2, 1, as rows are normalised over their batch, is needed"):
        METHOD.fit(mt.Pairing(pairs, "image", "text"), mt.Pairing(pairs, "image", "text"), FACTS, released(), "cpu")


def loss_of(seed=0, **settings):
    translator = ReleasedTranslator(FACTS, released(**settings)).eval()
    g = torch.Generator().manual_seed(2)
    c, z = (torch.nn.functional.normalize(torch.randn(9, width, generator=g), dim=1) for width in (K, D))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return translator, c, z, objective(translator, c, z)


def test_the_noise_term_is_an_l1_norm_of_the_predicted_noise():
    translator, c, z, loss = loss_of(5, lambda_1=0.0, condition_dropout=0.0)
    torch.manual_seed(5)
    torch.rand(())
    x0 = D**0.5 * z
    eps, t = torch.randn_like(x0), torch.randint(1000, (9,))
    a = translator.alpha_bar()[t][:, None].float()
    eps_theta = translator.denoiser(a.sqrt() * x0 + (1 - a).sqrt() * eps, t, translator.denoiser.embed(c))
    torch.testing.assert_close(loss["noise"], (eps - eps_theta).abs().sum() / 9)
    torch.testing.assert_close(loss["total"], loss["noise"])


def test_the_reconstruction_term_goes_through_both_samplers_and_a_batch_wide_norm():
    translator, c, z, loss = loss_of(5, condition_dropout=0.0, lambda_1=2.0, lambda_2=0.0)
    torch.manual_seed(5)
    torch.rand(())
    noise = torch.randn(9, 2, D)
    x0 = translator.sampled(c, noise, 2, 6.0)
    zhat = c @ translator.M + x0 / x0.pow(2).sum().sqrt()
    torch.testing.assert_close(loss["total"], 2 * (z - zhat).abs().sum() / 9)
    loss["total"].backward()
    assert translator.denoiser.null.grad.abs().sum() > 0  # by way of the unconditional sampler alone


def test_a_dropped_batch_is_dropped_whole_and_has_no_reconstruction_term():
    dropped = 0
    for seed in range(100):
        translator, _, _, loss = loss_of(seed)
        dropped += loss["reconstruction"] == 0
        if loss["reconstruction"] == 0:
            loss["total"].backward()
            assert translator.M.grad is None and translator.denoiser.null.grad.abs().sum() > 0
            torch.testing.assert_close(loss["total"], loss["noise"])  # lambda_2 = 1
    assert 1 <= dropped <= 25  # Binomial(100, .1): outside with probability below 1e-4


def test_decoupled_decay_shrinks_what_has_no_gradient_of_its_own(pairs):
    """AdamW multiplies a weight by 1 - lr decay."""
    # M is trained, the network is not
    config = released(
        **{"train.steps": 1, "train.learning_rate": 0.001, "train.weight_decay": 0.5},
        gamma=0.0, lambda_2=0.0, condition_dropout=0.0,
    )  # fmt: skip
    start, decoupled, without = (
        fit(pairs, replace(config, train=replace(config.train, **change))).M.detach()
        for change in ({"steps": 0}, {}, {"weight_decay": 0.0})
    )
    torch.testing.assert_close(decoupled, without - 0.001 * 0.5 * start, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("ema", "same"), [(0.0, True), (0.9, False)])
def test_the_last_weights_translate_where_there_is_no_average(tmp_path, pairs, ema, same, monkeypatch):
    monkeypatch.setattr(run.Run, "after", lambda self, done, steps, values, state: self._save(done, state))
    monkeypatch.setattr(run.Run, "finish", lambda *_, **__: None)
    fitted = fit(pairs, released(**{"train.ema": ema}), out=tmp_path / "run")
    last = load_file(tmp_path / "run" / "training.safetensors")["weights.M"]
    assert torch.equal(fitted.M, last) == same


@pytest.mark.parametrize("stop", [1, 5])
def test_a_run_resumes_to_the_bit_and_loads_again(tmp_path, pairs, stop, monkeypatch):
    monkeypatch.setattr(run.Run.__init__, "__defaults__", (4, None))  # a checkpoint every four steps
    config = released(condition_dropout=0.5)
    whole = fit(pairs, config, out=tmp_path / "whole")

    def interrupt(done, _):
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(pairs, config, out=tmp_path / "cut", progress=interrupt)
    fit(pairs, config, out=tmp_path / "cut", resume=True)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert files[0] == files[1]
    loaded = mt.load(tmp_path / "cut", device="cpu")
    assert isinstance(loaded.denoiser, SkipMLP) and loaded.config == config
    np.testing.assert_array_equal(loaded.translate(pairs.modality("image")), whole.translate(pairs.modality("image")))
    assert mt.evaluate(loaded, pairs)["cosine"] > mt.evaluate(loaded, pairs)["floor"]


def test_the_command_line_says_what_the_batch_is(tmp_path, pairs, capsys):
    pairs.save(tmp_path / "pairs.npz")
    np.save(tmp_path / "c.npy", pairs.modality("image")[:8])
    folder, out = str(tmp_path / "run"), str(tmp_path / "z.npy")
    train = ["train", str(tmp_path / "pairs.npz"), "--out", folder, "--preset", "released", "--device", "cpu", "--set"]
    assert run_verb(VERBS, "modtrans", "", [*train, *(f"{name}={value}" for name, value in SMALL.items())]) == 0
    assert run_verb(VERBS, "modtrans", "", ["translate", folder, str(tmp_path / "c.npy"), out]) == 0
    assert "normalised over these 8 rows at once" in capsys.readouterr().err
    assert np.load(out).shape == (8, D)
    assert run_verb(VERBS, "modtrans", "", ["evaluate", folder, str(tmp_path / "pairs.npz"), "--json"]) == 0
    captured = capsys.readouterr()
    assert "normalised over these 30 rows at once" in captured.err and json.loads(captured.out)["gallery"] == 30


@pytest.mark.parametrize("width", [16, 256])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_network_of_any_shape_is_restored(width, depth):
    config = released(width=width, depth=depth)
    tensors = ReleasedTranslator(FACTS, config).tensors()
    assert METHOD.restore(FACTS, config, tensors, torch.device("cpu")).config == config
    with pytest.raises(ValueError, match=r"^width: 32768, a network of \d+ numbers is needed"):
        METHOD.restore(FACTS, changed(config, {"width": 32768}), tensors, torch.device("cpu"))
