"""How well the workers of a generation were used."""

from __future__ import annotations

from ritz.compute.document import DocumentPart, Number

BUSY = 0.9
"""Share of the workers' time in tasks from which on nothing held them up."""

FULL = 0.7
"""Share of the wall time that the driver can compute before shards wait for it: some of its work is in bursts."""

SHARDS = 8
"""Shards per worker from which on a run says anything of its driver: before, its start is most of it."""


class Solving(DocumentPart):
    """How well the solve workers of a generation were used, from its first task to its last commit.

    Attributes
    ----------
    workers, shards, shard
        Solve workers, shards that were solved, and samples of each.
    seconds
        Of wall time.
    tasks
        Wall seconds of the tasks, summed over all workers: drawing, solving and writing shards.
    driver
        Processor seconds of the driver's process, with the scheduler where that is in it.
    waited
        Wall seconds in which the driver waited for the trainer to take samples.
    verdict
        What held the workers up, the driver or the trainer, as a sentence; empty where neither did.
    """

    workers: int
    shards: int
    shard: int
    seconds: Number
    tasks: Number
    driver: Number
    waited: Number
    verdict: str = ""

    @property
    def busy(self) -> float:
        """Share of the workers' time in tasks."""
        return min(1.0, self.tasks / max(self.workers * self.seconds, 1e-9))

    def judged(self) -> Solving:
        """Return it with its verdict."""
        return self.changed(verdict=self._verdict())

    def _verdict(self) -> str:
        if self.busy >= BUSY or self.shards < SHARDS * self.workers:
            return ""
        share = f"the solve workers were busy for {100 * self.busy:.0f} % of the time"
        if self.waited >= 0.5 * (1 - self.busy) * self.seconds:
            return f"{share}: they waited for the trainer to take samples"
        if self.driver < FULL * self.seconds:
            return ""
        each, task = 1e3 * self.driver / self.shards, self.tasks / self.shards
        return (
            f"{share}: the driver was the bottleneck, at {each:.1f} ms per shard; with data.shard={self.enough()} (now "
            f"{self.shard}, {1e3 * task:.0f} ms each) it would keep {self.workers} workers busy"
        )

    def enough(self) -> int:
        """Return the samples per shard from which on the driver keeps up, the next power of two times those of now.

        What a shard costs the driver hardly depends on its samples, and a task takes as much longer as it has more.
        """
        factor = self.workers * self.driver / (FULL * max(self.tasks, 1e-9))
        times = 1
        while times < factor:
            times *= 2
        return self.shard * times
