from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.fields.tensors import pack, unpack
from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training import checkpoint
from ritz.compute.training.loop import Loop
from ritz.compute.training.parts.precision import Arithmetic
from ritz.compute.training.parts.trace import EXACT, machine
from ritz.compute.training.ranks.group import Alone, Group, PeerLost
from ritz.compute.training.training import Fit, Training, outline

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Surroundings:
    """What a training has around it, the same online and offline.

    Attributes
    ----------
    problem
        For the losses that need its equations.
    device
        ``"cpu"``, ``"cuda"`` or ``"mps"``: where the network and the batches lie.
    load, save
        Read and write the checkpoint; ``save`` must be atomic.
    progress
        Called after every step and block with ``{"step", "steps", "received", "samples", "loss", "validate"}``; the
        errors are None until there is one.
    save_every_s
        Seconds between checkpoints; one more is written at the end.
    group
        The ranks that train together. All read one checkpoint, and the first of them writes it.
    """

    problem: Problem | None = None
    device: str = "cpu"
    load: Callable[[], bytes | None] = lambda: None
    save: Callable[[bytes], None] = lambda _: None
    progress: Callable[[dict[str, Any]], None] = lambda _: None
    save_every_s: float = 30.0
    group: Group = field(default_factory=Alone)


class Run:
    """What one call of a training's ``fit`` does: make the loop, keep checkpoints, tell how far it is."""

    def __init__(
        self,
        training: Training,
        surrogate: Surrogate,
        template: xr.Dataset,
        samples: int,
        around: Surroundings,
    ) -> None:
        self.settings, self.surrogate, self.template, self.samples = training, surrogate, template, samples
        self.around = around
        self.recipe = {
            "training": training.model_dump(mode="json"),
            "surrogate": surrogate.model_dump(mode="json"),
            "samples": samples,
        }
        self.group = around.group
        if self.group.size != training.ranks:
            raise ValueError(f"ranks is {training.ranks}, expected {self.group.size}: so many train together here")
        # What is not to be had is refused now, not when the first samples have been solved.
        Arithmetic(training.precision, around.device)
        training.check(samples)
        training.check_losses(outline(template), around.problem)
        self.steps = training.steps(samples)
        self.loop: Loop | None = None
        self.saved = time.monotonic()
        self.waited = 0.0

    def resume(self, refill: checkpoint.Refill) -> Loop | None:
        """Return the loop that a checkpoint holds, if there is one."""
        blob = self.around.load()
        loop = None
        if blob is not None:
            loop = self.new(checkpoint.normalisation(blob, self.recipe))
            checkpoint.read(loop, blob, refill)
        found = self.group.collect((hashlib.sha256(blob or b"").hexdigest(), self._here()))
        if len({digest for digest, _ in found}) > 1:
            raise PeerLost("the ranks found different checkpoints: one was written meanwhile")
        for rank, (_, there) in enumerate(found):
            if there != found[0][1]:
                raise ValueError(
                    f"rank {rank} computes with {there}, expected what rank 0 computes with, {found[0][1]}: their "
                    "weights would drift apart"
                )
        return loop

    def _here(self) -> dict[str, Any]:
        """Return on what this process computes, as far as its bits depend on it."""
        here = machine(self.around.device)
        return {name: here[name] for name in EXACT}

    def new(self, normalisation: Normalisation) -> Loop:
        """Return a loop before its first step."""
        symmetry = self.template.attrs.get("symmetries", "none")
        around = self.around
        return Loop(
            self.settings,
            self.surrogate,
            normalisation,
            symmetry,
            self.steps,
            problem=around.problem,
            device=around.device,
            group=self.group,
        )

    def ready(self, loop: Loop, samples: bool = True) -> bool:
        """Return whether all ranks have samples for the next step; write a checkpoint first if the last one is old.

        To be called before every step, by every rank, and by none that has learnt that the training is over.
        """
        import torch

        old = time.monotonic() - self.saved >= self.around.save_every_s
        if self.group.size > 1:
            said = torch.stack(list(self.group.gather(torch.tensor([samples, old]))))
            samples, old = bool(said[:, 0].all()), bool(said[0, 1])
        if old:
            self.save(loop)
        loop.dry = not samples
        return samples

    def save(self, loop: Loop) -> None:
        """Write a checkpoint of all ranks, on the first of them."""
        blob = checkpoint.write(loop, self.recipe)
        if self.group.rank == 0:
            self.around.save(blob)
        self.saved = time.monotonic()

    def report(self, received: int) -> None:
        """Tell how far the training is."""
        curve = self.loop.curve if self.loop else []
        self.around.progress(
            {
                "step": self.loop.step if self.loop else 0,
                "steps": self.steps,
                "received": received,
                "samples": self.samples,
                "loss": curve[-1]["loss"] if curve else None,
                "validate": next((r["validate"] for r in reversed(curve) if r["validate"] is not None), None),
            }
        )

    def fitted(self, loop: Loop) -> Fit:
        """Write the last checkpoint and return what came out, of all ranks."""
        loop.settle()
        self.save(loop)
        mine = {
            "schedule": np.array(loop.schedule, np.int64).reshape(loop.step, self.settings.batch_size),
            "validation": loop.validation_ids,
        }
        numbers = {"received": sorted(loop.received.items()), "taken": loop.taken}
        arrays, everyone = zip(*map(unpack, self.group.exchange(pack(mine, numbers))), strict=True)
        schedule = np.concatenate([one["schedule"] for one in arrays], axis=1)
        best = loop.best
        return Fit(
            model=loop.finish(),
            curve=loop.curve,
            schedule=schedule,
            received={shard: when for one in everyone for shard, when in one["received"]},
            waited=self.waited,
            validation=arrays[0]["validation"],
            total=loop.total,
            trace=loop.trace,
            stopped=loop.step if loop.stopped else None,
            best={"step": best.step, "error": best.error} if best is not None and best.tensors else None,
            unseen=sum(one["taken"] for one in everyone) - len(np.unique(schedule)),
        )


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch's random numbers and give the caller its own back at the end."""
    import torch

    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
