"""A translator as an ONNX graph, for programs without torch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modtrans_core.checks import in_one_line, refuse_unless
from modtrans_core.extras import require
from modtrans_core.protocol import Traced, Translator, able
from modtrans_core.store.files import replacing

TRIED = 7
"""random conditions that a graph is tried on, and landmarks, near which alone a kernel says something"""
TOLERANCE = 1e-5
"""how far a coordinate of a graph's translation, at most, is from the translator's, or as far as rounding moves it"""
ROUNDING = 20
"""times what a coordinate of the translator's own answer moves where its condition is moved in the last place: sums in
another order were seen to differ by up to five"""


def export(translator: Translator, path: str | Path, **settings: Any) -> float:
    """Write a translator as an ONNX graph, and see that it says the same.

    The graph's input `c` is any number of conditions (n, k), float32, of any length, and its output `zhat` (n, d). That
    of a translator that samples has another input, `noise`: normal numbers (n, d), which the caller draws.

    Parameters
    ----------
    translator : one on the CPU that is `Traced` and translates row by row.
    path : `.onnx`, written whole or not at all. Names, dimensions and encoders are in the graph's metadata `modtrans`.
    settings : of the translator's `zhat`, such as the steps of the poster's, which are fixed in the graph.

    Returns
    -------
    The greatest difference between a coordinate of the graph's and of the translator's, where both were tried.

    Raises
    ------
    ValueError
        A translator that cannot be written so, or whose graph differs by more than `TOLERANCE` and rounding allow.
    """
    runtime, onnx = require("onnxruntime", "onnx"), require("torch.onnx", "onnx")
    for name in ("onnx", "onnxscript"):
        require(name, "onnx")
    traced = able(translator, Traced)
    refuse_unless(translator.row_by_row, "export", translator.method, "a method that translates row by row")
    shape = getattr(translator, "noise_shape", None)
    generator = torch.Generator().manual_seed(0)
    c = 3 * torch.randn(TRIED, translator.facts.k, generator=generator)
    landmarks = getattr(translator, "landmarks", c[:0])
    c = torch.cat([c, landmarks[:: max(1, len(landmarks) // TRIED)].float()])
    noise = () if shape is None else (torch.randn(len(c), *shape, generator=generator),)
    given = dict(zip(("c", "noise"), (c, *noise), strict=False))
    more = {**settings, **{name: x for name, x in given.items() if name != "c"}}
    moved = c * (1 + torch.finfo(c.dtype).eps * torch.randn(c.shape, generator=generator).sign())
    with torch.inference_mode():  # the translator's own way, which also makes what is made once
        expected = translator.translate(c, **more)
        rounding = float((translator.translate(moved, **more) - expected).abs().max())
    n = torch.export.Dim("n")
    with replacing(path) as temporary, _quiet():
        try:
            program = onnx.export(
                _Graph(traced, settings).eval(), (c, *noise), dynamo=True, verbose=False, input_names=[*given],
                output_names=["zhat"], dynamic_shapes={"rows": tuple({0: n} for _ in given)},
            )  # fmt: skip
        except Exception as error:  # torch raises what it likes
            why = in_one_line(error.__cause__ or error)
            raise ValueError(f"export: {translator.method!r} has no ONNX graph ({why})") from None
        program.model.metadata_props["modtrans"] = json.dumps(
            {"method": translator.method, **translator.facts.plain(), "settings": settings}
        )
        program.save(temporary, external_data=False)
        session = runtime.InferenceSession(temporary, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {name: x.numpy() for name, x in given.items()})
        same = found.shape == tuple(expected.shape)
        apart, limit = float("inf"), max(TOLERANCE, ROUNDING * rounding)
        if same:
            apart = float((torch.from_numpy(found) - expected).abs().max())
        refuse_unless(apart <= limit, "export", apart, f"a graph that differs by at most {limit:.1g}")
    return apart


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, what makes the graph says nothing of how it does that."""
    logger = logging.getLogger("onnxscript")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


class _Graph(nn.Module):
    """What is traced: from conditions of any length to translations."""

    def __init__(self, translator: Any, settings: dict[str, Any]) -> None:
        super().__init__()
        self.zhat, self.settings = translator.zhat, settings

    def forward(self, *rows: Tensor) -> Tensor:
        c, *noise = rows
        c = c / c.abs().amax(dim=1, keepdim=True)  # so that the square of no number is too large, or too small
        found: Tensor = self.zhat(c / torch.linalg.vector_norm(c, dim=1, keepdim=True), *noise, **self.settings)
        return found
