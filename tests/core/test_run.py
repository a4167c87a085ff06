"""Training: the objective as printed, exact resuming, and one real run that must beat its baselines."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from modtrans_core.config import Config, DiffusionConfig, NetworkConfig, ObjectiveConfig, SamplingConfig, TrainConfig
from modtrans_core.objective import objective
from safetensors import SafetensorError
from safetensors.torch import save_file

from modtrans_core import PairedEmbeddings, Translator, evaluate
from modtrans_core.linear import LinearMap
from modtrans_core.train import fit

SMALL = Config(
    network=NetworkConfig(width=16, depth=2),
    sampling=SamplingConfig(steps=2),
    train=TrainConfig(steps=12, batch=32, checkpoint_every=4),
)


def make_pairs(n=120, k=8, d=6, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    c = rng.normal(size=(n, k))
    z = c @ np.random.default_rng(99).normal(size=(k, d)) / np.sqrt(k) + noise * rng.normal(size=(n, d))
    return PairedEmbeddings({"image": c, "text": z}, metadata={"image": {"encoder": "test:c"}})


def same_weights(a: Translator, b: Translator):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_the_objective_is_what_is_printed(monkeypatch):
    """Its two terms computed by hand, with the random draws replayed."""
    config = replace(SMALL, network=NetworkConfig(16, 2, dropout=0.0), objective=ObjectiveConfig(condition_dropout=0.0))
    translator = Translator(8, 6, config).eval()
    with torch.no_grad():
        for parameter in translator.parameters():
            parameter.add_(0.1)
    c, z = (torch.nn.functional.normalize(torch.randn(9, width), dim=1) for width in (8, 6))
    torch.manual_seed(5)
    loss = objective(translator, c, z)
    torch.manual_seed(5)
    x0 = 6**0.5 * z
    eps = torch.randn_like(x0)
    t = torch.randint(1000, (9,))
    torch.rand(9)
    alpha_bar = translator.schedule.alpha_bar[t][:, None].float()
    xt = alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * eps
    eps_theta = (1 - alpha_bar).sqrt() * xt + alpha_bar.sqrt() * translator.denoiser(
        xt, t, translator.denoiser.embed(c)
    )
    noise = (eps - eps_theta).pow(2).sum() / 9
    f = translator.residual(c, torch.randn_like(z), 1, 1.0)
    reconstruction = torch.linalg.vector_norm(z - (c @ translator.M + f), ord=1, dim=1).mean()
    torch.testing.assert_close(loss.noise, noise)
    torch.testing.assert_close(loss.reconstruction, reconstruction)
    torch.testing.assert_close(loss.total, reconstruction + 2 * noise)


@pytest.mark.parametrize("measure", ["eps", "x0", "v"])
@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_any_error_can_be_measured_whatever_the_network_predicts(prediction, measure):
    """By hand: what the output stands for, from x_t = a x_0 + b eps and v = a eps - b x_0 = (eps - b x_t) / a."""
    config = replace(
        SMALL,
        network=NetworkConfig(16, 2, dropout=0.0),
        diffusion=DiffusionConfig(schedule="cosine", prediction=prediction, measure=measure),
        objective=ObjectiveConfig(condition_dropout=0.0, lambda_1=0.0, lambda_2=1.0),
    )
    translator = Translator(8, 6, config).eval()
    with torch.no_grad():
        for parameter in translator.denoiser.parameters():
            parameter.add_(0.1)
    c, z = (torch.nn.functional.normalize(torch.randn(9, width), dim=1) for width in (8, 6))
    torch.manual_seed(5)
    found = objective(translator, c, z).noise
    torch.manual_seed(5)
    x0 = 6**0.5 * z
    eps, t = torch.randn_like(x0), torch.randint(1000, (9,))
    a = translator.schedule.alpha_bar[t][:, None].sqrt().float()
    b = (1 - translator.schedule.alpha_bar[t][:, None]).sqrt().float()
    xt = a * x0 + b * eps
    output = translator.denoiser(xt, t, translator.denoiser.embed(c))
    eps_hat = {"eps": output, "x0": (xt - a * output) / b, "v": b * xt + a * output}[prediction]
    error = {"eps": eps - eps_hat, "x0": (eps - eps_hat) * b / a, "v": (eps - eps_hat) / a}[measure]
    torch.testing.assert_close(found, error.square().sum(1).mean(), rtol=1e-3, atol=0)


@pytest.mark.parametrize(("term", "moved"), [("lambda_1", True), ("lambda_2", False)])
def test_only_the_reconstruction_term_moves_M(term, moved):
    weights = {"lambda_1": 0.0, "lambda_2": 0.0, term: 1.0}
    translator = Translator(8, 6, replace(SMALL, objective=ObjectiveConfig(**weights)))
    c, z = (torch.nn.functional.normalize(torch.randn(9, width), dim=1) for width in (8, 6))
    objective(translator, c, z).total.backward()
    assert (translator.M.grad is not None and translator.M.grad.abs().sum() > 0) == moved


def test_the_reconstruction_term_reaches_the_network_through_the_sampler():
    translator = Translator(8, 6, replace(SMALL, objective=ObjectiveConfig(lambda_2=0.0)))
    c, z = (torch.nn.functional.normalize(torch.randn(9, width), dim=1) for width in (8, 6))
    objective(translator, c, z).total.backward()
    assert translator.denoiser.out[1].weight.grad.abs().sum() > 0


def test_an_untrained_translator_starts_at_the_ridge_map():
    pairs = make_pairs()
    validation = make_pairs(60, seed=1)
    fitted = fit(pairs, config=replace(SMALL, train=TrainConfig(steps=0)), validation=validation)
    c, z, i, j = (torch.from_numpy(array) for array in pairs.pairings("image", "text"))
    v = [torch.from_numpy(validation.modality(name)) for name in ("image", "text")]
    norm = torch.nn.functional.normalize
    expected = LinearMap.fit(norm(c[i]), norm(z[j]), validation=(norm(v[0]), norm(v[1]))).M
    torch.testing.assert_close(fitted.M.detach(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stop", [1, 4, 7, 12])
def test_a_run_stopped_at_any_step_resumes_to_the_bit(tmp_path, stop):
    pairs = make_pairs()
    whole = fit(pairs, config=SMALL, device="cpu", out=tmp_path / "whole")

    def interrupt(done, _):
        if done == stop:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=f"after step {stop} of 12"):
        fit(pairs, config=SMALL, device="cpu", out=tmp_path / "cut", progress=interrupt)
    torch.manual_seed(12345)  # a resumed run must not care about the process it finds itself in
    resumed = fit(pairs, config=SMALL, device="cpu", out=tmp_path / "cut", resume=True)
    assert same_weights(whole, resumed)
    files = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "cut")]
    assert files[0] == files[1]
    logs = [
        [
            {k: v for k, v in json.loads(line).items() if k != "time"}
            for line in (tmp_path / run / "metrics.jsonl").open()
        ]
        for run in ("whole", "cut")
    ]
    assert logs[0] == logs[1] and logs[0][-1]["step"] == 12


def test_a_killed_process_resumes_to_the_bit(tmp_path):
    config = replace(SMALL, train=TrainConfig(steps=80, batch=32, checkpoint_every=5))
    make_pairs().save(tmp_path / "pairs.npz")
    command = [
        sys.executable,
        "-m",
        "modtrans_core",
        "train",
        tmp_path / "pairs.npz",
        "--device",
        "cpu",
        "--steps",
        "80",
    ]
    command += [
        "--set",
        "network.width=16",
        "network.depth=2",
        "sampling.steps=2",
        "train.batch=32",
        "train.checkpoint_every=5",
    ]
    process = subprocess.Popen([*command, "--out", tmp_path / "cut"], stderr=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "cut" / "metrics.jsonl").exists():
        time.sleep(0.05)
    process.kill()
    process.wait()
    subprocess.run([*command, "--out", tmp_path / "cut", "--resume"], check=True, stderr=subprocess.DEVNULL)
    subprocess.run([*command, "--out", tmp_path / "whole"], check=True, stderr=subprocess.DEVNULL)
    files = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "cut")]
    assert files[0] == files[1]
    assert Translator.load(tmp_path / "cut").config.train == config.train


def test_seeds_are_what_makes_runs_differ():
    pairs, validation = make_pairs(), make_pairs(40, seed=1)
    runs = [fit(pairs, config=replace(SMALL, seed=seed), validation=validation, device="cpu") for seed in (0, 0, 1)]
    assert same_weights(runs[0], runs[1]) and not same_weights(runs[0], runs[2])


def test_training_leaves_torchs_generator_and_the_pairs_alone():
    pairs = make_pairs()
    before, state = pairs.fingerprint(), torch.random.get_rng_state()
    fit(pairs, config=SMALL, device="cpu")
    assert pairs.fingerprint() == before and torch.equal(torch.random.get_rng_state(), state)


def test_save_and_load_give_the_same_translator(tmp_path):
    fitted = fit(make_pairs(), "image", "text", config=SMALL, device="cpu")
    fitted.save(tmp_path / "run")
    loaded = Translator.load(tmp_path / "run", device="cpu")
    assert same_weights(fitted, loaded) and loaded.config == fitted.config
    assert loaded.encoders["image"] == {"encoder": "test:c"}
    c = make_pairs(5).modality("image")
    np.testing.assert_array_equal(fitted.translate(c), loaded.translate(c))
    with pytest.raises(ValueError, match="already holds a translator"):
        fitted.save(tmp_path / "run")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda run: (run / "model.safetensors").write_bytes(b"torn"), "model.safetensors: does not hold"),
        (lambda run: (run / "model.safetensors").unlink(), "model.safetensors: does not hold"),
        (lambda run: (run / "translator.json").unlink(), "not a run folder"),
        (lambda run: (run / "translator.json").write_text("{"), "not valid JSON"),
        (lambda run: (run / "translator.json").write_text("{}"), "format"),
        (lambda run: edit(run, k=9), "does not hold this translator's weights"),
        (lambda run: edit(run, config={"gama": 1}), "gama"),
    ],
)
def test_a_damaged_run_is_refused_by_name(tmp_path, spoil, words):
    fit(make_pairs(), config=replace(SMALL, train=TrainConfig(steps=0)), device="cpu", out=tmp_path / "run")
    spoil(tmp_path / "run")
    with pytest.raises(ValueError, match=words):
        Translator.load(tmp_path / "run")


def edit(run, **values):
    path = run / "translator.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_an_existing_run_is_never_overwritten_and_another_is_never_resumed(tmp_path):
    pairs = make_pairs()
    fit(pairs, config=SMALL, device="cpu", out=tmp_path / "run")
    with pytest.raises(ValueError, match="already holds a translator"):
        fit(pairs, config=SMALL, device="cpu", out=tmp_path / "run")
    with pytest.raises(ValueError, match="was started with config"):
        fit(pairs, config=replace(SMALL, gamma=0.5), device="cpu", out=tmp_path / "run", resume=True)
    with pytest.raises(ValueError, match="was started with pairs"):
        fit(make_pairs(seed=5), config=SMALL, device="cpu", out=tmp_path / "run", resume=True)
    with pytest.raises(ValueError, match="not a run folder"):
        fit(pairs, config=SMALL, device="cpu", out=tmp_path / "none", resume=True)


def test_a_diverging_run_stops_and_says_so():
    config = replace(SMALL, train=TrainConfig(steps=50, learning_rate=1e30))
    with pytest.raises(ValueError, match=r"(loss: (nan|inf)|F\(c\): not finite)"):
        fit(make_pairs(), config=config, device="cpu")


def test_a_full_disk_is_an_os_error_that_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    config = replace(SMALL, train=TrainConfig(steps=12, batch=32, checkpoint_every=4))
    written = []

    def full_after_two(tensors, path, metadata):
        if len(written) == 2:
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        written.append(path)
        save_file(tensors, path, metadata)

    monkeypatch.setattr("modtrans_core.checkpoint.save_file", full_after_two)
    with pytest.raises(OSError, match=r"training.safetensors: cannot be written .*No space left"):
        fit(make_pairs(), config=config, device="cpu", out=tmp_path / "run")
    monkeypatch.undo()
    assert not list((tmp_path / "run").glob("*.part*"))
    resumed = fit(make_pairs(), config=config, device="cpu", out=tmp_path / "run", resume=True)
    assert same_weights(resumed, fit(make_pairs(), config=config, device="cpu"))


def test_both_directions_with_several_captions():
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings(
        {"image": rng.normal(size=(60, 8)), "text": rng.normal(size=(60, 3, 6))}, {"text": rng.integers(1, 4, 60)}
    )
    for source, target in (("image", "text"), ("text", "image")):
        scores = evaluate(fit(pairs, source, target, config=SMALL, device="cpu"), pairs)
        assert scores["gallery"] == 60 and (scores["ceiling"] is None) == (target == "image")


def test_a_real_training_finds_what_no_linear_map_can():
    """Targets whose residual is a function of the condition with no linear part: F(c) must find it.

    z = (x, |x|-like part): the second half is even in c, so least squares sees nothing of it.
    """
    rng = np.random.default_rng(0)
    c = rng.normal(size=(4000, 4))
    even = np.abs(c) - np.sqrt(2 / np.pi)
    pairs = PairedEmbeddings({"image": c, "text": np.hstack([0.3 * c, even])})
    train, validation, test = pairs.split(0)
    config = Config(
        network=NetworkConfig(width=64, depth=2, dropout=0.0),
        diffusion=DiffusionConfig(measure="x0", schedule="cosine"),
        sampling=SamplingConfig(steps=5, guidance=1.0),
        train=TrainConfig(steps=400, batch=128, learning_rate=2e-3, weight_decay=0.0, ema=0.99),
    )
    trained = evaluate(fit(train, config=config, validation=validation, device="cpu"), test)
    linear = evaluate(
        fit(train, config=replace(config, gamma=0.0, train=TrainConfig(steps=0)), validation=validation), test
    )
    assert linear["floor"] < 0.2 and linear["cosine"] < 0.65
    assert trained["cosine"] > linear["cosine"] + 0.25
    assert trained["recall_at_10"] > linear["recall_at_10"] + 0.15


def test_validation_pairs_of_another_encoder_are_refused():
    made = [
        PairedEmbeddings({"image": np.ones((9, 3)), "text": np.ones((9, 3))}, metadata={"text": {"encoder": name}})
        for name in ("a", "b")
    ]
    with pytest.raises(ValueError, match="text: encoder b, but the translator was trained on a"):
        Translator.fit(made[0], validation=made[1], device="cpu")
