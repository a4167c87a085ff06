"""What a notebook's kernel is given."""

import asyncio
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager

from analysis.paper.runner import Kernels


def test_a_cache_that_is_named_from_here_is_one_for_all_kernels(tmp_path, monkeypatch):
    given = {}

    async def start_kernel(self, **options):
        given.update(options)

    monkeypatch.setattr(AsyncKernelManager, "start_kernel", start_kernel)
    monkeypatch.setenv("MODTRANS_CACHE", "cache")
    monkeypatch.chdir(tmp_path)
    asyncio.run(Kernels().manager(Path("elsewhere"))().start_kernel())
    assert given["cwd"] == "elsewhere" and given["env"]["MODTRANS_CACHE"] == str(tmp_path / "cache")
