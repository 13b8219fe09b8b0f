"""What the README says of reading a version holds, word for word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from ritz.storage.committer import Committer
from ritz.storage.store import Store
from tests.storage.fields import SHARDS, definition, fields, fill

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(word: str) -> list[str]:
    return [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if word in block]


def published(path: Path) -> None:
    dataset = Committer.ensure(Store(path / "ritz-store"), "darcy", **definition())
    fill(dataset, *range(SHARDS))
    dataset.publish("all")


def test_a_version_is_read_by_a_process_that_cannot_import_this_project(tmp_path):
    published(tmp_path)
    (block,) = blocks("icechunk.Repository.open")
    lines = [line for line in block.splitlines() if line and not line.startswith("import")]
    assert len(lines) == 6
    # Refused by name, so that it holds wherever the project is installed.
    before = (
        "import sys\n"
        "class Nothing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'ritz':\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Nothing())\n"
    )
    after = (
        "import numpy\nnumpy.save('u.npy', data['u'].values)\nprint(data['status'].attrs['flag_meanings'])\n"
        "print(len(train.sample), *data.u.chunks[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", before + block + after],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    train = int((definition()["split"] == "train").sum())
    shard = definition()["shard"]
    assert done.stdout.splitlines() == ["absent ok failed", f"{train} {' '.join([str(shard)] * SHARDS)}"]
    assert done.stderr == ""
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), np.concatenate([fields(i)["u"] for i in range(SHARDS)]))


def test_a_version_is_trained_on_as_it_says(tmp_path, monkeypatch):
    published(tmp_path)
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("ShardStream")
    seen: list[torch.Tensor] = []
    exec(block.replace("...", "seen.append(batch['sample_id'])"), {"seen": seen})
    train = (definition()["split"] == "train").sum()
    assert sum(len(ids) for ids in seen) == 10 * train
