"""Imports of many tiny files and of one large one take memory that does not grow with them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest
import yaml

from ritz.storage.reading import read
from ritz.storage.store import Store
from tests.command import RITZ, started

DIMS = ["sample", "y", "x"]
GIGABYTE = 2**30


def _tiny(folder: Path, count: int) -> dict[str, Any]:
    """Write files of one sample of 4² points each."""
    values = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    for number in range(count):
        place = folder / f"{number // 1000:03}"
        place.mkdir(exist_ok=True)
        with h5py.File(place / f"{number:06}.h5", "w") as file:
            file["a"], file["u"] = values + number, values - number
    roles = {"a": "input", "u": "output"}
    return {"files": "*/*.h5", "variables": {name: {"role": role, "dims": DIMS[1:]} for name, role in roles.items()}}


def _large(folder: Path, count: int) -> dict[str, Any]:
    """Write one file of samples of 16 MiB each, noise that nothing compresses."""
    noise = np.random.default_rng(0).normal(size=(1024, 2048)).astype(np.float32)
    with h5py.File(folder / "all.h5", "w") as file:
        fields = [file.create_dataset(name, (count, 1024, 2048), "f4", chunks=(1, 1024, 2048)) for name in ("a", "u")]
        for number in range(count):
            for field in fields:
                field[number] = np.roll(noise, number, axis=0)
    roles = {"a": "input", "u": "output"}
    return {"files": "all.h5", "variables": {name: {"role": role, "dims": DIMS} for name, role in roles.items()}}


def _watched(command: list[str], env: dict[str, str], timeout: float) -> tuple[str, int, int]:
    """Run a command; return what it says on stderr, and the largest memory of a process of it, and of all together."""
    each, together = 0, 0
    with started(*command, env=env) as process:
        own, over = psutil.Process(process.pid), threading.Event()

        def watch() -> None:
            nonlocal each, together
            while not over.wait(0.2):
                sizes = []
                for one in [own, *own.children(recursive=True)]:
                    try:
                        # Pages of files that are mapped are the system's to take back; those shared count once.
                        memory = one.memory_full_info()
                        sizes.append(memory.uss)
                    except psutil.NoSuchProcess:
                        continue
                each, together = max(each, *sizes, 0), max(together, sum(sizes))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        _, said = process.communicate(timeout=timeout)
        over.set()
        watcher.join()
        assert process.returncode == 0, said
    return said, each, together


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("lay_out", "count"), [(_tiny, 100_000), (_large, 640)], ids=["1e5 tiny files", "one of 10 GB"]
)
def test_an_import_streams_in_less_than_a_gigabyte(
    lay_out: Any, count: int, tmp_path: Path, environment: dict[str, str], record_property: Any
) -> None:
    mapping = tmp_path / "own.yaml"
    mapping.write_text(yaml.safe_dump({"name": "own", **lay_out(tmp_path, count)}))
    store = tmp_path / "store"
    command = [RITZ, "import", str(mapping), "--store", str(store)]
    _, each, together = _watched(command, environment, timeout=3000)
    print(f"largest process {each / GIGABYTE:.2f} GiB, all {together / GIGABYTE:.2f} GiB")
    record_property("largest process, bytes", each)
    record_property("all processes, bytes", together)
    data = read(Store(store), "own@v1")
    assert data.sizes["sample"] == count
    last = data.isel(sample=[0, count - 1]).load()
    assert np.isfinite(last["u"].values).all()
    assert last["sample_id"].values.tolist() == [0, count - 1]
    assert together < GIGABYTE
