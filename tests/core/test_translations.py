"""Translations are ordinary tensors, of conditions of any length, and differentiable where that is asked for."""

import threading

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import modtrans_core as mt
from modtrans_core.protocol import in_full_precision
from modtrans_core.run import MODEL, read_model

RNG = np.random.default_rng(0)
C = RNG.normal(size=(60, 4)).astype(np.float32)
PAIRS = mt.PairedEmbeddings({"image": C, "text": C @ RNG.normal(size=(4, 3)) + RNG.normal(size=(60, 3)) + 1})
SETTINGS = {
    "poster": {"train.steps": 2, "width": 8, "depth": 1},
    "MLP": {"train.steps": 2, "width": 8},
    "calibrated": {},
    "ridge": {},
}


@pytest.fixture(scope="module", params=SETTINGS)
def translator(request):
    return mt.fit(PAIRS, preset=request.param, settings=SETTINGS[request.param])


def test_a_head_can_be_trained_on_translations(translator):
    zhat = translator.translate(torch.tensor(C))
    assert not zhat.requires_grad and not zhat.is_inference()
    head = torch.nn.Linear(3, 2)
    head(zhat).sum().backward()
    assert head.weight.grad.abs().sum() > 0
    zhat /= zhat.norm(dim=1, keepdim=True)


def test_the_gradient_of_a_translation_is_its_slope(translator):
    c = torch.tensor(C[:5], requires_grad=True)
    settings = {"noise": torch.ones(5, 3)} if translator.method == "poster" else {}  # its own belongs to the row
    (slope,) = torch.autograd.grad(translator.translate(c, **settings)[:, 0].sum(), c)
    way = torch.tensor(RNG.normal(size=C[:5].shape).astype(np.float32))
    ends = [translator.translate(c.detach() + step * way, **settings)[:, 0].double().sum() for step in (-1e-2, 1e-2)]
    assert float((slope * way).sum()) == pytest.approx(float(ends[1] - ends[0]) / 2e-2, rel=0.05, abs=2e-3)
    with torch.no_grad():
        assert not translator.translate(c).requires_grad


def test_its_slope_may_be_found_forwards(translator):
    c = torch.tensor(C[0])
    ways = [way(lambda x: translator.translate(x[None])[0])(c) for way in (torch.func.jacrev, torch.func.jacfwd)]
    torch.testing.assert_close(*ways, rtol=1e-3, atol=1e-5)


def test_a_translation_keeps_its_digits_where_others_are_cast(translator, tmp_path):
    """Inside `torch.autocast`, as of a head that is trained in bfloat16, or where the defaults are others."""
    c, z = torch.tensor(C), torch.tensor(PAIRS.modality("text"))

    def found():
        fitted = mt.fit(PAIRS, config=translator.config, device="cpu")
        fitted.save(tmp_path / "run", overwrite=True)
        said = [one.translate(x) for one in (translator, fitted, mt.load(tmp_path / "run", "cpu")) for x in (C, c)]
        return [*said, *mt.rank(translator, C, z.numpy(), k=3), *mt.rank(translator, c, z, k=3)]

    wanted = found()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = found()
    torch.set_default_dtype(torch.float64)
    try:
        cast += found()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    with torch.device("meta"):  # as where a large model is built before its weights are read
        cast += found()
    for one, other in zip(cast, 3 * wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_threads_leave_the_default_type_as_it_was():
    """It is one for the whole process, autocast one for each thread: the second enters before the first has left."""
    entered, leave = [[threading.Event() for _ in range(2)] for _ in range(2)]

    @in_full_precision
    def work(number):
        entered[number].set()
        assert leave[number].wait(60) and torch.get_default_dtype() == torch.float32

    def cast():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            work(1)

    threads = [threading.Thread(target=work, args=(0,)), threading.Thread(target=cast)]
    torch.set_default_dtype(torch.float64)
    try:
        for thread, event in zip(threads, entered, strict=True):
            thread.start()
            assert event.wait(60)
        for thread, event in zip(threads, leave, strict=True):
            event.set()
            thread.join()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("inside", [torch.no_grad, torch.inference_mode])
def test_it_is_fitted_where_no_gradients_are_kept(translator, inside):
    with inside():
        fitted = mt.fit(PAIRS, config=translator.config, device="cpu")
    np.testing.assert_array_equal(
        fitted.translate(C), mt.fit(PAIRS, config=translator.config, device="cpu").translate(C)
    )
    c = torch.tensor(C[:5], requires_grad=True)
    assert torch.autograd.grad(fitted.translate(c).sum(), c)[0].isfinite().all()


def test_translators_and_pair_sets_can_be_compared_and_kept_in_sets(translator):
    again = mt.fit(PAIRS, config=translator.config, device="cpu")
    same = mt.PairedEmbeddings(PAIRS.arrays)
    for one, other in ((translator, again), (PAIRS, same), (mt.Pairing(PAIRS, "image", "text"),) * 2):
        assert one == one and (one != other or one is other) and len({one, other}) == 1 + (one is not other)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("factor", [2.0**83, 2.0**-100])  # of 1e25 and 1e-30
def test_the_length_of_a_condition_does_not_matter(translator, factor):
    wanted = translator.translate(C)
    given = C * np.float32(factor)
    given.flags.writeable = False
    for one in (given, given.tolist(), given.astype(">f8"), given[::-1][::-1]):
        np.testing.assert_array_equal(translator.translate(one), wanted)
    np.testing.assert_array_equal(translator.translate(torch.tensor(given)).numpy(), wanted)
    for bad in (C.astype(complex), torch.tensor(C).to(torch.complex64)):
        with pytest.raises(ValueError, match=r"c: '(torch\.)?complex"):
            translator.translate(bad)


@pytest.mark.filterwarnings("ignore:.*the constant mean:UserWarning")
@pytest.mark.parametrize("preset", ["poster", "MLP"])
def test_a_module_that_is_interrupted_learns_on_as_it_did(preset, monkeypatch):
    module = mt.fit(PAIRS, preset=preset, settings=SETTINGS[preset], device="cpu").train()

    def stop(*_):
        raise KeyboardInterrupt

    module.register_forward_pre_hook(stop)
    monkeypatch.setattr(module, "sample", stop, raising=False)
    with pytest.raises(KeyboardInterrupt):
        module.translate(C)
    assert module.training


def test_weights_that_are_not_finite_are_refused(translator, tmp_path):
    from safetensors.torch import save_file

    translator.save(tmp_path / "run")
    tensors = {name: value.clone() for name, value in read_model(tmp_path / "run").items()}  # the file is written over
    name = next(name for name, value in tensors.items() if value.is_floating_point() and value.numel())
    for value in (float("nan"), float("inf")):
        save_file({**tensors, name: torch.full_like(tensors[name], value)}, tmp_path / "run" / MODEL)
        with pytest.raises(ValueError, match=f"{MODEL}: {name}: NaN or infinity"):
            mt.load(tmp_path / "run")
    for one in tensors:
        save_file({**tensors, one: torch.zeros(2, 7, 5)}, tmp_path / "run" / MODEL)
        with pytest.raises(ValueError, match=f"{MODEL}: does not hold .*{one}"):
            mt.load(tmp_path / "run")


def test_a_step_at_the_end_that_diverges_saves_no_run(tmp_path):
    """The loss of step 1 is looked at before the step is made."""
    settings = {
        **SETTINGS["poster"],
        "train.steps": 1,
        "train.learning_rate": 1e30,
        "train.weight_decay": 1e20,
        "train.ema": 0.0,
    }
    with pytest.raises(ValueError, match="NaN or infinity in the weights, .* after step 1; try a smaller"):
        mt.fit(PAIRS, preset="poster", settings=settings, out=tmp_path / "run")
    assert not (tmp_path / "run" / MODEL).exists()


@pytest.mark.parametrize("preset", [*SETTINGS, "kernel ridge"])
def test_saved_weights_of_another_type_are_taken_or_refused(tmp_path, preset):
    own = mt.fit(PAIRS, preset=preset, settings=SETTINGS.get(preset, {}), device="cpu")
    own.save(tmp_path)
    with safe_open(tmp_path / MODEL, framework="pt") as file:
        said = file.metadata()

    def save(dtype):
        save_file({name: value.to(dtype).contiguous() for name, value in own.tensors().items()}, tmp_path / MODEL, said)

    for dtype in (torch.float64, torch.float16):
        save(dtype)
        zhat, near = (torch.nn.functional.normalize(torch.tensor(one.translate(C))) for one in (own, mt.load(tmp_path)))
        assert float((zhat * near).sum(1).min()) > 0.999
    for dtype in (torch.int32, torch.bool):
        save(dtype)
        with pytest.raises(ValueError, match=rf"'torch.{str(dtype)[6:]}', floating-point numbers is needed"):
            mt.load(tmp_path)
