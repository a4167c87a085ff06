"""What a user imports: every public name is there, and nothing heavy is loaded before it is asked for."""

import subprocess
import sys
from importlib import import_module

import pytest

import modtrans_core


@pytest.mark.parametrize("name", modtrans_core.__all__)
def test_every_public_name_is_its_modules(name):
    found = getattr(modtrans_core, name)
    assert found is getattr(import_module(f"modtrans_core.{modtrans_core._WHERE[name]}"), name)
    assert found.__doc__ and found.__module__.startswith("modtrans_core.")


def test_no_other_name_is_given():
    assert dir(modtrans_core) == sorted(modtrans_core.__all__) == sorted(modtrans_core._WHERE)
    with pytest.raises(AttributeError, match="module 'modtrans_core' has no attribute 'Translater'"):
        modtrans_core.Translater  # noqa: B018


def loaded_after(code):
    """Whether a fresh interpreter has loaded torch after this."""
    code = f"import sys\n{code}\nprint('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.strip().splitlines()[-1] == "True"


def test_torch_is_loaded_when_it_is_wanted():
    """Names, scores and pair sets do without it, and so does the help of every verb."""
    assert not loaded_after(
        "import modtrans_core; dir(modtrans_core); modtrans_core.score; modtrans_core.PairedEmbeddings"
    )
    helped = """
    from modtrans_core.cli import VERBS
    from modtrans_core.cli.verb import run
    for verb in [[], *([verb] for verb in VERBS)]:
        try:
            run(VERBS, "modtrans", "", [*verb, "--help"])
        except SystemExit as stop:
            assert not stop.code
    """
    assert not loaded_after("\n".join(line[4:] for line in helped.splitlines()))
    assert loaded_after("import modtrans_core; modtrans_core.fit")
