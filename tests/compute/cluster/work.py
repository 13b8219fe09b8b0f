"""What the tests of this folder run on workers, in a module of its own so that workers can import it."""

from __future__ import annotations

import itertools
import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

from ritz.compute.cluster.cluster import Notifier
from ritz.compute.cluster.consumer import receive


@dataclass(frozen=True)
class Square:
    receipt: tuple[int, int]
    value: int


def square(x: int) -> Square:
    time.sleep(0.02)
    return Square((x, os.getpid()), x * x)


def wait_for(item: tuple[int, str]) -> Square:
    x, file = item
    deadline = time.monotonic() + 60
    while file and not Path(file).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{file} never came")
        time.sleep(0.02)
    return square(x)


def fail_at_seven(x: int) -> Square:
    if x == 7:
        raise ValueError("seven is refused")
    return square(x)


def take(name: str, count: int, pause: float, queue: int = 0) -> list[int]:
    values = []
    for square in itertools.islice((got for got in receive(name, queue) if got is not None), count):
        time.sleep(pause)
        values.append(square.value)
    return values


def hold(name: str, count: int) -> None:
    """Take so many, and work on the last of them for ever."""
    for _ in itertools.islice((got for got in receive(name) if got is not None), count):
        pass
    time.sleep(3600)


def chatter(topic: str) -> None:
    notify = Notifier(topic)
    for step in range(3):
        notify({"step": step})
    notify({"step": 3}, last=True)


def environment() -> dict[str, object]:
    pools = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    return {"threads": os.environ["OMP_NUM_THREADS"], "blas": pools, "pid": os.getpid(), "parent": os.getppid()}


def variable(name: str) -> str | None:
    return os.environ.get(name)


def loaded(module: str) -> bool:
    return module in sys.modules


def page_faults(size: int) -> int:
    """Count the pages asked of the kernel for ``size`` bytes that were there, and freed, before.

    Those of this thread alone: what the others of a worker do meanwhile is not asked. NumPy asks for huge pages, which
    would hide that memory went back.
    """
    # A fork shares what its origin had freed: a page of that is asked for once, where it is first written to.
    for _ in range(3):
        b"x" * size
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    b"x" * size
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


@dataclass(frozen=True)
class Fields:
    """Stands for the fields of a shard, which stay on the worker that solved it."""

    receipt: int
    value: int
    values: np.ndarray


def solved(x: int) -> Fields:
    return Fields(x, x, np.zeros(1000))


def size_of(values: np.ndarray) -> int:
    return values.size
