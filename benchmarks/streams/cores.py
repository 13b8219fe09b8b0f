"""Which core a process works on, and how much memory it ever took."""

from __future__ import annotations

import os
from pathlib import Path


def pin(core: int) -> None:
    """Keep all threads of this process, and those they will start, on one core."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def pinned() -> set[int]:
    """Return the cores that any thread of this process may use."""
    return {core for thread in Path("/proc/self/task").iterdir() for core in os.sched_getaffinity(int(thread.name))}


def peak() -> float:
    """Return the largest resident size of this process so far, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6
