"""How many workers this machine has room for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

AUTO = "auto"
"""Count of workers that stands for as many as fit."""


def fitting(asked: Mapping[str, Any], beside: Mapping[str, Any]) -> int:
    """Return how many workers of a role this machine has room for beside those of another one, at least 1.

    Cores and memory are those that this process may use: its affinity and the limits of its control group count.

    Parameters
    ----------
    asked, beside
        Fields of both roles as a profile has them. Memory counts where it is given as a size. A field of another type
        counts as its default, since the profile will refuse it.
    """
    from dask.system import CPU_COUNT
    from dask.utils import parse_bytes
    from distributed.system import MEMORY_LIMIT

    def number(role: Mapping[str, Any], name: str) -> int:
        value = role.get(name, 1)
        return value if type(value) is int and value > 0 else 1

    def memory(role: Mapping[str, Any]) -> float:
        try:
            return float(parse_bytes(role.get("memory", AUTO)))
        except (AttributeError, TypeError, ValueError):
            return 0.0

    cores = CPU_COUNT - number(beside, "count") * number(beside, "threads")
    counts = [cores // number(asked, "threads")]
    if memory(asked) > 0:
        counts.append(int((MEMORY_LIMIT - number(beside, "count") * memory(beside)) // memory(asked)))
    return max(1, min(counts))
