"""The verb that writes a translator for programs without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from tyro.conf import Positional

from modtrans_core.checks import refuse_unless
from modtrans_core.cli.use import given
from modtrans_core.cli.verb import say
from modtrans_core.store.files import refuse_existing


@dataclass(frozen=True)
class Export:
    """Example: modtrans export runs/first model.onnx

    Write a translator as an ONNX graph, for programs without torch: conditions `c` (n, k), of any length, to
    translations `zhat` (n, d). The graph of a translator that samples has its number of steps fixed and takes normal
    numbers `noise` (n, d) beside the conditions. Before it is kept it is tried at a few conditions, random ones and
    landmarks of the run, and how near it is there is printed.
    """

    needs: ClassVar = {"onnx": ("onnx", "onnxscript", "onnxruntime")}
    writes: ClassVar = ("output",)

    run_folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """run folder of `modtrans train`"""
    output: Annotated[Positional[Path], tyro.conf.arg(metavar="OUT")]
    """.onnx file to write"""
    steps: int | None = None
    """DDIM steps of a translator that samples. Default: the run's"""
    guidance: float | None = None
    """guidance scale of a translator that samples, 1 for none. Default: the run's"""
    overwrite: bool = False
    """replace OUT when it is there"""

    def run(self) -> None:
        from modtrans_core.layouts.onnx import export
        from modtrans_core.methods import load

        refuse_unless(self.output.suffix == ".onnx", "OUT", str(self.output), "a name that ends in .onnx")
        refuse_existing(self.output, self.overwrite)
        translator = load(self.run_folder, "cpu")
        apart = export(translator, self.output, **given(translator.translate, steps=self.steps, guidance=self.guidance))
        say(f"{self.output}: {translator.facts}, within {apart:.1g} of the run where both were tried")
