"""The verb `demo`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from modtrans_core.cli.verb import say
from modtrans_core.extras import refuse_missing


@dataclass(frozen=True)
class Demo:
    """Example: modtrans demo

    A first result in a minute: 600 emoji of OpenMoji that come with the package, as vectors of their names and of their
    pictures, a translator from the one to the other, its scores on emoji that it has not seen, and a picture of what it
    finds.
    """

    holds: ClassVar = "out"

    out: Path = Path("modtrans-demo")
    """folder for openmoji.npz, the pairs, and figures/found.png and .pdf"""

    def run(self) -> None:
        from analysis.experiments import demo
        from analysis.experiments.data import print_of
        from analysis.plots.style import figures, paper_style, save_figure
        from modtrans_core import PairedEmbeddings, evaluate, fit
        from modtrans_core.cli.use import scores_in_words
        from modtrans_core.store.files import refuse_results
        from modtrans_core.store.headers import shard_files

        pairs, file = demo.demo_pairs(), self.out / demo.VECTORS.name
        if file.exists() and print_of(PairedEmbeddings.load(file)) != print_of(pairs):
            raise ValueError(f"{file}: exists, and holds other pairs than the demo's; choose another folder")
        if self.out.is_dir() and (others := [one.name for one in shard_files(self.out) if one.name != file.name]):
            raise ValueError(f"out: {self.out} holds {others[0]}, which is not the demo's; choose another folder")
        refuse_results(self.out, figures("found"), file.exists())
        pairs.save(file)
        train, validation, test = pairs.split(seed=0)
        say(f"{pairs}: {len(train)} to train, {len(validation)} to validate, {len(test)} kept for the test")
        translator = fit(train, "text", "image", validation=validation)
        print(scores_in_words(evaluate(translator, test), "text → image"))
        try:
            refuse_missing(("matplotlib",), "analysis")
        except ModuleNotFoundError as error:
            say(f"no picture: {error}")
        else:
            from analysis.plots.retrieval import blocks

            with paper_style():
                figure = blocks(demo.found(translator, test).table(), demo.thumbnails(pairs), demo.names(pairs))
                save_figure(figure, self.out, "found")
            say(f"{self.out / 'figures' / 'found.png'}: the pictures that five names find; the right one is framed")
        print(
            f"In Python:\n  import modtrans_core as mt\n"
            f'  train, validation, test = mt.PairedEmbeddings.load("{file}").split(seed=0)\n'
            '  print(mt.evaluate(mt.fit(train, "text", "image", validation=validation), test))'
        )
