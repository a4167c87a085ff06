"""What a notebook's kernel is given, and how often it is started."""

import asyncio
from contextlib import nullcontext
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager

from analysis.paper.make import project_folder
from analysis.paper.runner import METRICS, Kernels, run


def test_a_cache_that_is_named_from_here_is_one_for_all_kernels(tmp_path, monkeypatch):
    given = {}

    async def start_kernel(self, **options):
        given.update(options)

    monkeypatch.setattr(AsyncKernelManager, "start_kernel", start_kernel)
    monkeypatch.setenv("MODTRANS_CACHE", "cache")
    monkeypatch.chdir(tmp_path)
    asyncio.run(Kernels().manager(Path("elsewhere"))().start_kernel())
    assert given["cwd"] == "elsewhere" and given["env"]["MODTRANS_CACHE"] == str(tmp_path / "cache")


@pytest.mark.parametrize("said", ["Kernel died before replying to kernel_info", "Kernel didn't respond in 60 seconds"])
@pytest.mark.parametrize(("failures", "says"), [(2, ""), (3, "00_theorems: its kernel did not start in 3 attempts")])
def test_a_kernel_that_does_not_start_is_started_again(tmp_path, monkeypatch, failures, says, said):
    calls = []

    def execute(_, executed, parameters, **__):
        calls.append(executed)
        if len(calls) <= failures:
            raise RuntimeError(said)
        Path(executed).write_text("{}")
        (Path(parameters["out"]) / METRICS).write_text('{"a": 1}')

    monkeypatch.setattr("papermill.execute_notebook", execute)
    notebook = project_folder("notebooks") / "00_theorems.ipynb"
    with pytest.raises(RuntimeError, match=says) if says else nullcontext():
        assert run(notebook, tmp_path / "out") == {"a": 1}
    assert len(calls) == 3 and [file.name for file in tmp_path.iterdir()] == ["out"] * (not says)


def test_a_kernel_that_is_killed_names_its_notebook(tmp_path, capfd):
    """As the system does where memory runs out."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    parameters = nbformat.v4.new_code_cell('out: str = ""  # folder', metadata={"tags": ["parameters"]})
    killed = nbformat.v4.new_code_cell("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    notebook.cells = [parameters, killed]
    nbformat.write(notebook, tmp_path / "hungry.ipynb")
    with pytest.raises(RuntimeError, match="^hungry: its kernel ended, as where memory runs out$"):
        run(tmp_path / "hungry.ipynb", tmp_path / "out")
    assert capfd.readouterr().err == "" and [file.name for file in tmp_path.iterdir()] == ["hungry.ipynb"]
