"""How long the workers of a run were there, and how much of that they computed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from ritz.compute.document import DocumentPart, Number

METRIC = "ritz_usage"
"""What a worker calls its own figures among the metrics of its heartbeats; see `ritz.compute.cluster.admission`."""


class Usage(DocumentPart):
    """What a run took of machines.

    Attributes
    ----------
    node_hours
        Hours in which a node had at least one worker of the run, summed over nodes.
    core_hours
        Hours from the start of each worker to its end times the threads of its role.
    cpu_hours
        Hours of processor time of the workers.
    efficiency
        ``cpu_hours / core_hours``; None without a worker.
    workers, nodes
        How many there were, those that took the place of others included.
    attempts
        Runs that were interrupted or failed before, and this one; the hours are those of all.
    """

    node_hours: Number
    core_hours: Number
    cpu_hours: Number
    efficiency: Number | None
    workers: int
    nodes: int
    attempts: int = 1

    def after(self, earlier: Iterable[Usage]) -> Usage:
        """Return the usage of this attempt and of earlier ones; nodes may be the same, the largest number counts."""
        all_of_them = [*earlier, self]
        node, core, cpu = (
            sum(getattr(one, name) for one in all_of_them) for name in ("node_hours", "core_hours", "cpu_hours")
        )
        return Usage(
            node_hours=_rounded(node),
            core_hours=_rounded(core),
            cpu_hours=_rounded(cpu),
            efficiency=_share(cpu, core),
            workers=sum(one.workers for one in all_of_them),
            nodes=max(one.nodes for one in all_of_them),
            attempts=sum(one.attempts for one in all_of_them),
        )


@dataclass
class _Worker:
    host: str
    threads: int
    first: float
    last: float
    # What it had behind it when this run began to use it.
    cpu_before: float
    cpu: float = field(default=0.0)


class UsageMeter:
    """Adds up what the heartbeats of workers say of them; a worker of an attached cluster counts from the first look.

    Parameters
    ----------
    begun
        When the first worker of the cluster could have started, `time.monotonic`.
    """

    def __init__(self, begun: float | None = None) -> None:
        self._begun = time.monotonic() if begun is None else begun
        self._workers: dict[str, _Worker] = {}
        self._lock = Lock()

    def observe(self, workers: Mapping[str, Mapping[str, Any]], now: float | None = None) -> None:
        """Take in what the scheduler knows of its workers: address → Dask's description."""
        now = time.monotonic() if now is None else now
        with self._lock:
            for address, about in workers.items():
                figures = about.get("metrics", {}).get(METRIC)
                if not isinstance(figures, Mapping):
                    continue
                cpu = float(figures["cpu"])
                if address not in self._workers:
                    started = now - float(figures["age"])
                    old = started < self._begun
                    first = self._begun if old else started
                    self._workers[address] = _Worker(
                        str(about.get("host", "")), int(figures["threads"]), first, now, cpu if old else 0.0
                    )
                worker = self._workers[address]
                worker.last, worker.cpu = now, cpu

    def total(self) -> Usage:
        """Return what the workers took so far."""
        with self._lock:
            workers = list(self._workers.values())
        hosts: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for worker in workers:
            hosts[worker.host].append((worker.first, worker.last))
        core = sum(worker.threads * (worker.last - worker.first) for worker in workers) / 3600
        cpu = sum(max(0.0, worker.cpu - worker.cpu_before) for worker in workers) / 3600
        return Usage(
            node_hours=_rounded(sum(map(_covered, hosts.values())) / 3600),
            core_hours=_rounded(core),
            cpu_hours=_rounded(cpu),
            efficiency=_share(cpu, core),
            workers=len(workers),
            nodes=len(hosts),
        )


def _covered(spans: list[tuple[float, float]]) -> float:
    """Return the seconds that spans of time cover together."""
    seconds, end = 0.0, float("-inf")
    for first, last in sorted(spans):
        seconds += max(0.0, last - max(first, end))
        end = max(end, last)
    return seconds


def _rounded(hours: float) -> float:
    return round(hours, 6)


def _share(cpu: float, core: float) -> float | None:
    return round(cpu / core, 4) if core > 0 else None
