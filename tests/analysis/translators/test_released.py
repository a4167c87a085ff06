"""The preset `released`: its network, what batch-wide normalisation does to a row, and its objective by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from modtrans_core.config import NetworkConfig
from modtrans_core.objective import objective
from modtrans_core.skip_mlp import SkipMLP
from safetensors.torch import load_file

from modtrans_core import PairedEmbeddings, Translator, evaluate, preset
from modtrans_core.cli import VERBS, with_settings
from modtrans_core.cli.verb import run
from modtrans_core.train import fit

K, D = 6, 16
SMALL = [
    "network.width=16", "network.depth=2", "sampling.steps=3", "objective.reconstruction_steps=2",
    "train.steps=12", "train.batch=32", "train.checkpoint_every=4",
]  # fmt: skip


def released(*settings):
    return with_settings(preset("released"), [*SMALL, *settings])


@pytest.fixture
def translator():
    return Translator(K, D, released()).eval()


@pytest.fixture
def c():
    return np.random.default_rng(0).normal(size=(256, K)).astype(np.float32)


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    c = rng.normal(size=(150, K))
    return PairedEmbeddings({"image": c, "text": c @ rng.normal(size=(K, D)) + 0.3 * rng.normal(size=(150, D))})


def norms(x):
    return np.linalg.norm(x, axis=-1)


def test_the_network_has_the_published_size():
    with torch.device("meta"):  # its size alone: nothing is allocated
        network = SkipMLP(512, 512, preset("released").network)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(73e6, rel=0.01)


def test_every_layer_sees_the_input_again():
    """With the layer before it silenced, a layer still tells one x from another; so does the output."""
    network = SkipMLP(D, K, NetworkConfig(kind="skip", width=16, depth=3, dropout=0.0))
    x, t, condition = torch.randn(5, D), torch.zeros(1), network.embed(torch.randn(5, K))
    for silenced in network.layers:
        handle = silenced.register_forward_hook(lambda _, __, h: torch.zeros_like(h))
        assert network(x, t, condition).std(0).min() > 1e-3
        handle.remove()
    assert [layer[0].in_features for layer in network.layers] == [2 * D + K, 16 + 2 * D + K, 16 + 2 * D + K]


@pytest.mark.parametrize("part", ["x", "t", "condition"])
def test_the_network_listens_to_each_part_of_its_input(part):
    network = SkipMLP(D, K, NetworkConfig(kind="skip", width=16, depth=2, dropout=0.0))
    given = {"x": torch.randn(3, D), "t": torch.zeros(3), "condition": network.embed(torch.randn(3, K))}
    before = network(**given)
    given[part] = given[part] + 1
    assert (network(**given) - before).abs().max() > 1e-3


def test_the_null_condition_replaces_the_dropped_rows_only():
    network = SkipMLP(D, K, NetworkConfig(kind="skip", width=16, depth=2, dropout=0.0))
    c, x, drop = torch.randn(4, K), torch.randn(4, D), torch.tensor([True, False, True, False])
    mixed = network(x, torch.zeros(1), network.embed(c, drop))
    torch.testing.assert_close(mixed[drop], network(x, torch.zeros(1), network.embed(None))[drop])
    torch.testing.assert_close(mixed[~drop], network(x, torch.zeros(1), network.embed(c))[~drop])


@pytest.mark.parametrize("B", [1, 16, 256])
def test_a_row_of_a_batch_has_length_about_one_over_root_B(translator, c, B):
    f = translator.parts(c[:B]).residual
    assert norms(f.ravel()) == pytest.approx(1, rel=1e-5)  # the batch as a whole has length 1
    assert np.square(norms(f)).mean() == pytest.approx(1 / B, rel=1e-5)
    assert np.median(norms(f)) == pytest.approx(B**-0.5, rel=0.2)


def test_one_row_alone_is_another_model_than_the_same_row_in_a_batch(translator, c):
    """With the same noise, the direction of F is the row's own; its length is the batch's."""
    with torch.no_grad():
        translator.M.copy_(torch.randn(K, D, generator=torch.Generator().manual_seed(0)))
    alone, among = translator.parts(c[:1]), translator.parts(c)
    np.testing.assert_allclose(alone.residual[0] * norms(among.residual[0]), among.residual[0], atol=1e-5)
    assert norms(alone.residual[0]) > 10 * norms(among.residual[0])
    difference = norms(translator.translate(c[:1])[0] - translator.translate(c)[0])
    assert difference > 0.8
    rows = Translator(K, D, released("sampling.normalisation=row")).eval()
    rows.load_state_dict(translator.state_dict())
    np.testing.assert_allclose(rows.translate(c[:1]), rows.translate(c)[:1], atol=1e-5)
    np.testing.assert_allclose(rows.translate(c[:1]), translator.translate(c[:1]), atol=1e-5)


def test_every_draw_is_a_batch_of_its_own(translator, c):
    f = translator.parts(c, samples=3).residual
    np.testing.assert_allclose(np.square(f).sum((0, 2)), 1, rtol=1e-5)


def test_a_batch_is_one_call_however_it_is_computed(translator, c, monkeypatch):
    whole = translator.translate(c)
    monkeypatch.setattr("modtrans_core.translator.ROWS_AT_ONCE", 100)
    np.testing.assert_allclose(translator.translate(c), whole, atol=1e-6)


def test_guidance_combines_whole_samples_from_two_noises(c):
    """(1 + w) conditional - w unconditional, each sampled to the end from a noise of its own."""
    translator = Translator(K, D, released("sampling.normalisation=row")).eval()
    rows = translator.condition(c[:7])
    noise = torch.randn(translator.noise_shape(7), generator=torch.Generator().manual_seed(1))
    assert noise.shape == (7, 2, D)
    plain = Translator(K, D, released("sampling.guided=step")).eval()
    plain.load_state_dict(translator.state_dict())
    with torch.no_grad():
        conditional = plain.sampled(rows, noise[:, 0], 3, guidance=1.0)
        unconditional = plain.sampled(rows, noise[:, 1], 3, guidance=0.0)
        w = 5.0
        expected = (1 + w) * conditional - w * unconditional
        torch.testing.assert_close(translator.sampled(rows, noise, 3, 1 + w), expected, rtol=1e-4, atol=1e-3)
        per_step = plain.sampled(rows, noise[:, 0], 3, 1 + w)
    assert (per_step - expected).norm() > 0.1 * expected.norm()


def loss_of(*settings, seed=0):
    translator = Translator(K, D, released(*settings)).eval()
    g = torch.Generator().manual_seed(2)
    c, z = (torch.nn.functional.normalize(torch.randn(9, width, generator=g), dim=1) for width in (K, D))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return translator, c, z, objective(translator, c, z)


def test_the_noise_term_is_an_l1_norm_of_the_predicted_noise():
    translator, c, z, loss = loss_of("objective.lambda_1=0", "objective.condition_dropout=0", seed=5)
    torch.manual_seed(5)
    torch.rand(())
    x0 = D**0.5 * z
    eps, t = torch.randn_like(x0), torch.randint(1000, (9,))
    a = translator.schedule.alpha_bar[t][:, None].float()
    eps_theta = translator.denoiser(a.sqrt() * x0 + (1 - a).sqrt() * eps, t, translator.denoiser.embed(c))
    torch.testing.assert_close(loss.noise, (eps - eps_theta).abs().sum() / 9)
    torch.testing.assert_close(loss.total, loss.noise)


def test_the_reconstruction_term_goes_through_both_samplers_and_a_batch_wide_norm():
    settings = (
        "objective.condition_dropout=0",
        "objective.lambda_1=2",
        "objective.lambda_2=0",
        "objective.dropping=row",
    )
    translator, c, z, loss = loss_of(*settings, seed=5)
    torch.manual_seed(5)
    noise = torch.randn(9, 2, D)
    x0 = translator.sampled(c, noise, 2, 6.0)
    zhat = c @ translator.M + x0 / x0.pow(2).sum().sqrt()
    torch.testing.assert_close(loss.total, 2 * (z - zhat).abs().sum() / 9)
    loss.total.backward()
    assert translator.denoiser.null.grad.abs().sum() > 0  # by way of the unconditional sampler alone


def test_a_dropped_batch_is_dropped_whole_and_has_no_reconstruction_term():
    dropped = 0
    for seed in range(100):
        translator, _, _, loss = loss_of("objective.condition_dropout=0.1", seed=seed)
        dropped += loss.reconstruction == 0
        if loss.reconstruction == 0:
            loss.total.backward()
            assert translator.M.grad is None and translator.denoiser.null.grad.abs().sum() > 0
            torch.testing.assert_close(loss.total, loss.noise)  # lambda_2 = 1
    assert 1 <= dropped <= 25  # Binomial(100, .1): outside with probability below 1e-4


def test_decoupled_decay_shrinks_what_has_no_gradient_of_its_own(pairs):
    """AdamW multiplies a weight by 1 - lr decay; Adam's coupled penalty moves it by lr, whatever the decay."""
    settings = ("train.steps=1", "train.learning_rate=0.001", "train.weight_decay=0.5", "objective.dropping=row")
    config = released(*settings, "gamma=0", "objective.lambda_2=0")  # M is trained, the network is not
    start, decoupled, coupled = (
        fit(pairs, config=with_settings(config, change), device="cpu").M.detach()
        for change in (["train.steps=0"], [], ["train.decay=coupled"])
    )
    without = fit(pairs, config=with_settings(config, ["train.weight_decay=0"]), device="cpu").M.detach()
    torch.testing.assert_close(decoupled, without - 0.001 * 0.5 * start, atol=1e-6, rtol=0)
    assert (coupled - start).abs().max() <= 0.001 * 1.01


@pytest.mark.parametrize(("ema", "same"), [(0.0, True), (0.9, False)])
def test_the_last_weights_translate_where_there_is_no_average(tmp_path, pairs, ema, same):
    fitted = fit(pairs, config=released(f"train.ema={ema}"), device="cpu", out=tmp_path / "run")
    last = load_file(tmp_path / "run" / "training.safetensors")["weights.M"]
    assert torch.equal(fitted.M, last) == same


@pytest.mark.parametrize("stop", [1, 5])
def test_a_run_resumes_to_the_bit_and_loads_again(tmp_path, pairs, stop):
    config = released("objective.condition_dropout=0.5")
    whole = fit(pairs, config=config, device="cpu", out=tmp_path / "whole")

    def interrupt(done, _):
        if done == stop:
            raise KeyboardInterrupt

    config_cut = replace(config, train=replace(config.train, checkpoint_every=4))
    with pytest.raises(KeyboardInterrupt):
        fit(pairs, config=config_cut, device="cpu", out=tmp_path / "cut", progress=interrupt)
    fit(pairs, config=config_cut, device="cpu", out=tmp_path / "cut", resume=True)
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert files[0] == files[1]
    loaded = Translator.load(tmp_path / "cut", device="cpu")
    assert isinstance(loaded.denoiser, SkipMLP) and loaded.config == config
    np.testing.assert_array_equal(loaded.translate(pairs.modality("image")), whole.translate(pairs.modality("image")))
    assert evaluate(loaded, pairs)["cosine"] > evaluate(loaded, pairs)["floor"]


def test_the_command_line_says_what_the_batch_is(tmp_path, pairs, capsys):
    pairs.save(tmp_path / "pairs.npz")
    np.save(tmp_path / "c.npy", pairs.modality("image")[:8])
    folder, out = str(tmp_path / "run"), str(tmp_path / "z.npy")
    train = ["train", str(tmp_path / "pairs.npz"), "--out", folder, "--preset", "released", "--device", "cpu", "--set"]
    assert run(VERBS, "modtrans", "", [*train, *SMALL]) == 0
    assert run(VERBS, "modtrans", "", ["translate", folder, str(tmp_path / "c.npy"), out]) == 0
    assert "normalised over these 8 rows at once" in capsys.readouterr().err
    assert np.load(out).shape == (8, D)
    assert run(VERBS, "modtrans", "", ["evaluate", folder, str(tmp_path / "pairs.npz"), "--json"]) == 0
    captured = capsys.readouterr()
    assert "normalised over these 30 rows at once" in captured.err and json.loads(captured.out)["gallery"] == 30
