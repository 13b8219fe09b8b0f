from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, TypeVar

import numpy as np

from ritz.compute.fields.tensors import pack, unpack
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training import checkpoint
from ritz.compute.training.loop import Loop
from ritz.compute.training.parts.part import Part
from ritz.compute.training.parts.trace import machine
from ritz.compute.training.ranks.group import PeerLost
from ritz.compute.training.samples.supply import Supply
from ritz.compute.training.surroundings import Progress, Surroundings
from ritz.compute.training.trained import Trained
from ritz.compute.training.training import Training, scaleless

T_co = TypeVar("T_co", bound=Training, covariant=True)


class Run(ABC, Generic[T_co]):
    """What one call of a training's ``fit`` does: make the loop, keep checkpoints, say how far it is.

    Parameters
    ----------
    training, surrogate, source, around
        See `Training.fit`.
    samples
        Training samples expected in all, by all ranks; fixes the number of steps.

    Attributes
    ----------
    loop
        None until there is one.
    steps
        To be done.
    waited
        Seconds spent waiting for samples after the first step.
    dry
        Whether some rank has no samples for a further step.
    """

    def __init__(
        self, training: T_co, surrogate: Surrogate, source: Supply, samples: int, around: Surroundings
    ) -> None:
        self.training, self.surrogate, self.source, self.samples = training, surrogate, source, samples
        self.around, self.group = around, around.group
        self._recipe = {
            "training": training.model_dump(mode="json"),
            "surrogate": surrogate.model_dump(mode="json"),
            "samples": samples,
        }
        if around.start is not None:
            self._recipe["start"] = hashlib.sha256(around.start.to_bytes()).hexdigest()
        training.check(samples)
        self.steps = training.steps(samples)
        self.loop: Loop | None = None
        self.waited = 0.0
        self.dry = False
        self._saved = time.monotonic()

    @abstractmethod
    def go(self) -> Trained:
        """Do all of it."""

    def parts(self) -> tuple[Part, ...]:
        """Return further parts of a new loop."""
        return ()

    def build(self, normalisation: Normalisation) -> Loop:
        """Return a loop before its first step."""
        symmetry = self.source.template.attrs.get("symmetries", "none")
        refill, around, parts = self.source.refill, self.around, self.parts()
        return self.training.loop(
            self.surrogate, normalisation, symmetry, self.steps, refill=refill, around=around, parts=parts
        )

    def normalised(self, fields: Mapping[str, np.ndarray]) -> Normalisation:
        """Return means and scales of the first samples.

        Raises
        ------
        ValueError
            If there is one sample, from which an input has no scale, and no model to start from.
        """
        found, count = Normalisation.fit(self.source.template, fields), len(next(iter(fields.values())))
        if self.around.start is None and (unknown := scaleless(found.dimensions, count)):
            raise ValueError(f"means and scales come of {count} training sample, {unknown}")
        return found

    def new(self, normalisation: Normalisation) -> Loop:
        """Make the loop, before its first step; with a model to start from, by its means and scales."""
        start = self.around.start
        if start is not None:
            ours, theirs = (
                {one.name: found.dimensions.channels(one.name) for one in found.variables}
                for found in (normalisation, start.normalisation)
            )
            if list(ours.items()) != list(theirs.items()):
                raise ValueError(f"start is a model of the variables and channels {theirs}, expected {ours}")
            normalisation = normalisation.model_copy(update={"variables": start.variables})
        self._normalisation, self.loop = normalisation, self.build(normalisation)
        if start is not None:
            self.loop.action.start(start)
        return self.loop

    def resume(self) -> Loop | None:
        """Make the loop that a checkpoint holds, if there is one."""
        blob = self.around.load()
        if blob is not None:
            checkpoint.read(self.new(checkpoint.normalisation(blob, self._recipe)), blob)
        here = machine(self.around.device).document()
        found = self.group.collect((hashlib.sha256(blob or b"").hexdigest(), here))
        if len({digest for digest, _ in found}) > 1:
            raise PeerLost("the ranks found different checkpoints: one was written meanwhile")
        for rank, (_, there) in enumerate(found):
            if there != found[0][1]:
                raise ValueError(
                    f"rank {rank} computes with {there}, expected what rank 0 computes with, {found[0][1]}: their "
                    "weights would drift apart"
                )
        return self.loop

    @property
    def over(self) -> bool:
        """Whether no step is left to be done, or none can be done any more."""
        return self.dry or (self.loop is not None and self.loop.done)

    def ready(self, loop: Loop, samples: bool = True) -> bool:
        """Return whether all ranks have samples for the next step; write a checkpoint first if the last one is old.

        To be called before every step, by every rank, and by none that has learnt that the training is over.
        """
        import torch

        old = time.monotonic() - self._saved >= self.around.save_every_s
        if self.group.size > 1:
            said = torch.stack(list(self.group.gather(torch.tensor([samples, old]))))
            samples, old = bool(said[:, 0].all()), bool(said[0, 1])
        if old:
            self.save(loop)
        self.dry = not samples
        return samples

    def save(self, loop: Loop) -> None:
        """Write a checkpoint of all ranks, on the first of them."""
        blob = checkpoint.write(loop, self._normalisation, self._recipe)
        if self.group.rank == 0:
            self.around.save(blob)
        self._saved = time.monotonic()

    def report(self, received: int) -> None:
        """Say how far the training is."""
        loop = self.loop
        last = loop.curve.records[-1].loss if loop is not None and loop.curve.records else None
        error = None if loop is None else loop.curve.validate
        step = 0 if loop is None else loop.step
        self.around.progress(Progress(step, self.steps, received, self.samples, last, error))

    def trained(self, loop: Loop) -> Trained:
        """Write the last checkpoint and return what came out, of all ranks."""
        loop.settle()
        self.save(loop)
        reception = loop.reception
        mine = {"schedule": loop.schedule.ids(), "validation": loop.validation.ids, **loop.forecasts.state()}
        numbers = {"received": sorted(reception.received.items()), "taken": reception.taken}
        arrays, everyone = zip(*map(unpack, self.group.exchange(pack(mine, numbers))), strict=True)
        schedule = np.concatenate([one["schedule"] for one in arrays], axis=1)
        forecasts = {name: np.concatenate([one[name] for one in arrays]) for name in loop.forecasts.state()}
        return Trained(
            model=loop.finish(),
            curve=loop.curve.records,
            schedule=schedule,
            received={shard: when for one in everyone for shard, when in one["received"]},
            waited=self.waited,
            validation=arrays[0]["validation"],
            total=loop.total,
            trace=loop.trace,
            stopped=loop.step if loop.stopped else None,
            best=loop.action.best,
            unseen=sum(one["taken"] for one in everyone) - len(np.unique(schedule)),
            forecasts=forecasts,
        )


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch's random numbers and give the caller its own back at the end."""
    import torch

    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
