"""Several workers make the encoder of one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.model

WORKER = """
import sys
from pathlib import Path
import torch
from tornio.schemas.registry import EncoderUse
from tornio.training.adapting.adapt import Settings, adapt
from tornio.training.adapting.texts import split_texts

base, out, store, objective, rank, size = sys.argv[1:]
torch.set_num_threads(1)
if int(size) > 1:
    torch.distributed.init_process_group("gloo", f"file://{store}", rank=int(rank), world_size=int(size))
texts = split_texts([f"the dog {'and the horse ' * (n % 5)} and river {n}" for n in range(150)])
use = EncoderUse(digest="0", pooling="mean", normalise=True, max_length=32)
settings = Settings(objective, 1, 80, 1e-3)
result = adapt(texts, Path(base), use, Path(out), settings, 0, precision="float32")
assert (result is None) == (int(rank) > 0)
if int(size) > 1:
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()  # or the threads of gloo may abort the process at its end
"""


@pytest.mark.parametrize("objective", ["masked-language", "contrastive"])
def test_two_workers_make_the_encoder_of_one(tiny_base: Path, tmp_path: Path, objective: str) -> None:
    """Processes and not threads, because threads share the random numbers of masks and dropout."""
    workers = []
    for size in (1, 2):
        for rank in range(size):
            out = tmp_path / f"{size}-{rank}"
            out.mkdir()
            arguments = [tiny_base, out, tmp_path / "store", objective, rank, size]
            workers.append(subprocess.Popen([sys.executable, "-c", WORKER, *map(str, arguments)]))
    assert [worker.wait(500) for worker in workers] == [0, 0, 0]
    alone, together = (load_file(tmp_path / name / "model.safetensors") for name in ("1-0", "2-0"))
    assert not list((tmp_path / "2-1").iterdir())
    base = load_file(tiny_base / "model.safetensors")
    changed = [name for name in together if name.removeprefix("bert.") in base and "layer.0" in name]
    assert any(not torch.equal(together[name], base[name.removeprefix("bert.")]) for name in changed)
    for name, tensor in together.items():
        torch.testing.assert_close(tensor, alone[name], atol=2e-4, rtol=1e-3)
