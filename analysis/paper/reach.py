"""Which files of ours a notebook runs: what it imports, what that imports, and so on."""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("modtrans_core", "analysis")
DATA = {"importer": "analysis.experiments.data", "imported": "modtrans_core.embed.pair_set"}
"""an import that does not count: it makes a pair set where a notebook is given none, and the paper gives one"""


@dataclass(frozen=True)
class Imports:
    """Who imports whom in both packages, by the names of the modules."""

    written: Mapping[str, Collection[str]]
    """module -> what its import statements name; inside functions too, but not what is for type checkers alone"""
    by_name: Mapping[str, Collection[str]]
    """module -> what it may load by name; see `named`"""

    @classmethod
    def found(cls) -> Imports:
        """The imports of both packages as their files are now."""
        import grimp

        graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
        graph.remove_import(**DATA)
        names = graph.modules
        return cls(
            {name: graph.find_modules_directly_imported_by(name) for name in names},
            {name: named(_file(name).read_text(encoding="utf-8"), name, names) for name in names},
        )

    def files(self, notebook: Path) -> list[Path]:
        """The files of both packages that run, or may run, with a notebook.

        To import `a.b` runs `a` as well. Whoever imports a module that loads others by name is taken to use them.
        """
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        todo, found = self._asked(imported(code, self.written)), set[str]()
        while todo:
            name = todo.pop()
            found.add(name)
            package = name.rpartition(".")[0]
            todo |= ({package} - {""} | self._asked(self.written[name])) - found
        return sorted(map(_file, found))

    def _asked(self, names: Iterable[str]) -> set[str]:
        return {further for name in names for further in (name, *self.by_name[name])}


def named(source: str, name: str, names: Collection[str]) -> set[str]:
    """The modules among `names` that the module `name` with this source may load by name.

    Where it calls `import_module` or `entry_points`, they are those that one of its texts names, in full, below it or
    beside it, and those of the group of entry points that one of its texts names.
    """
    tree = list(ast.walk(ast.parse(source)))
    calls = [node.func for node in tree if isinstance(node, ast.Call)]
    called = {getattr(call, "id", getattr(call, "attr", "")) for call in calls}
    if not called & {"import_module", "entry_points"}:
        return set()
    texts = {node.value for node in tree if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    if "entry_points" in called:
        texts |= {entry.module for text in texts for entry in entry_points(group=text)}
    starts = ("", f"{name}.", f"{name.rpartition('.')[0]}.")
    return {start + text.partition(":")[0] for text in texts for start in starts} & set(names)


def imported(code: str, names: Collection[str]) -> set[str]:
    """The modules among `names` that the import statements of a text name."""
    found = set[str]()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & set(names)


def _file(name: str) -> Path:
    path = ROOT / name.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
