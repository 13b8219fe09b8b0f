from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import ValidationError

from ritz.compute.document import Json
from ritz.compute.training.offline import Offline
from ritz.compute.training.online import Online
from ritz.compute.training.stepped import Stepped
from ritz.compute.training.training import Training
from ritz.compute.uncertainty.catalogue import LEAST
from ritz.storage.store import Store
from ritz.storage.wording import shown
from ritz.tasks.comparison.comparison_record import Clock, ComparisonRecord
from ritz.tasks.documents.reading import read
from ritz.tasks.errors import RecipeError
from ritz.tasks.measuring.gate import Gate
from ritz.tasks.parsing.identity import document_hash
from ritz.tasks.pipeline import Data, Pipeline

FRESH = 4
"""Online at equal steps sees so many times the simulations of offline, if nothing else is asked for."""

SEEDS = 6
"""Pairs, if nothing else is asked for."""


@dataclass(frozen=True)
class Arm:
    """One way to train, the same for all seeds: so many simulations, so many steps.

    Attributes
    ----------
    name
        ``offline``, ``equal_steps``, ``equal_solves`` or ``equal_time``; the last three are online.
    """

    name: str
    samples: int
    steps: int


@dataclass(frozen=True)
class Contest:
    """Online against offline training of one surrogate: what is held equal, and what is not.

    Attributes
    ----------
    pipeline
        Makes the simulations of all arms in one dataset; its training is that of the arm ``equal_steps``.
    samples
        Simulations of the arm ``offline``.
    epochs
        How often it sees each of them.
    fresh
        How many times as many simulations the arm ``equal_steps`` sees.
    seeds
        One a pair: of the first weights, of which simulations are taken, of the order in which they come.
    """

    pipeline: Pipeline
    samples: int
    epochs: float
    fresh: int
    seeds: tuple[int, ...]

    @property
    def identity(self) -> str:
        """Hash of all that changes the outcome but the seeds: more of them go on with the same comparison."""
        document = self.pipeline.document()
        return document_hash(
            {
                "samples": self.pipeline.samples_identity,
                "surrogate": document["surrogate"],
                "training": {**document["training"], "seed": 0},
                "sizes": [self.samples, self.epochs, self.fresh],
            }
        )

    @property
    def steps(self) -> int:
        """Gradient steps of the arm ``offline``."""
        return self._offline(0).steps(self.samples)

    def arms(self, pool: int) -> tuple[Arm, ...]:
        """Return the arms of which the sizes need no clock, where there are ``pool`` good training simulations."""
        return (
            Arm("offline", self.samples, self.steps),
            Arm("equal_steps", min(self.fresh * self.samples, pool), self.steps),
            Arm("equal_solves", self.samples, self.steps),
        )

    def training(self, arm: Arm, seed: int) -> Training:
        """Return how an arm is trained; optimiser, rate, losses and batch size are those of all arms."""
        if arm.name == "offline":
            return self._offline(seed)
        online = _streaming(self.pipeline.training, arm.steps / arm.samples)
        return Online.model_validate({**dict(online), "seed": seed})

    def _offline(self, seed: int) -> Offline:
        return Offline(**_common(self.pipeline.training), epochs=self.epochs, seed=seed)

    def timed(self, simulation: float, step: float, pool: int) -> tuple[Arm, Clock]:
        """Return the online arm that ends when offline does, and by what it was sized.

        Offline takes ``samples`` · ``simulation`` until it has its simulations and then ``steps`` · ``step``. Online
        begins when the watermark is reached and both go on side by side until that time is over. Its limiter does
        steps and simulations in the proportion in which they are done in that time, so the samples make the steps in
        the order in which a live stream at this pace would bring them.

        Parameters
        ----------
        simulation
            Seconds between two simulations, with all solvers at work.
        step
            Seconds per gradient step.
        pool
            Training simulations there are; no more are taken, and the solvers wait.
        """
        training = _streaming(self.pipeline.training)
        total = self.samples * simulation + self.steps * step
        begin = training.watermark * simulation
        steps = max(1, math.floor((total - begin) / step + 1e-9))
        could = max(self.samples, math.floor(total / simulation + 1e-9))
        samples = min(could, pool, steps * training.batch_size)
        clock = Clock(seconds=total, simulation=simulation, step=step, begin=begin, could_solve=could)
        return Arm("equal_time", samples, steps), clock


def folder(contest: Contest) -> str:
    """Return where in the store all of a comparison lies."""
    return f"comparisons/{contest.pipeline.name.removesuffix('-compare')}/{contest.identity[:16]}"


def finished(contest: Contest, store_url: str) -> ComparisonRecord | None:
    """Return the record of a comparison that has been made with these seeds, None elsewhere."""
    store, key = Store(store_url), f"{folder(contest)}/record.json"
    if not store.exists(key):
        return None
    record = read(ComparisonRecord, store.document(key), store.location(key))
    return record if record.seeds == contest.seeds else None


def contest(
    pipeline: Pipeline,
    *,
    seeds: int = SEEDS,
    samples: int | None = None,
    epochs: float | None = None,
    fresh: int = FRESH,
) -> Contest:
    """Return what is to be compared for a recipe.

    Parameters
    ----------
    pipeline
        The recipe. Its dataset is not touched: that of the comparison is called ``<name>-compare``.
    seeds
        Pairs, at least 2.
    samples
        Simulations of offline training; by default so many that online at equal steps takes the training samples of
        the recipe.
    epochs
        How often offline sees each; by default so often that online at equal steps keeps the recipe's
        ``batches_per_sample``, or the epochs of a recipe that trains offline.
    fresh
        Simulations of online training at equal steps, as a multiple.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        If the recipe cannot be compared so; before any work.
    """
    training = pipeline.training
    unpaired = training.unpaired()
    if unpaired or not isinstance(training, Stepped):
        raise RecipeError(unpaired)
    if pipeline.surrogate.trainings > 1:
        raise RecipeError(f"surrogate.kind is {pipeline.surrogate.kind!r}, expected a network: the arms train one each")
    count = pipeline.train_samples // fresh if samples is None else samples
    if count < 1:
        raise RecipeError(
            f"data.samples = {pipeline.data.samples} gives {pipeline.train_samples} training samples, of which offline "
            f"training gets one in --fresh {fresh}: none; give --samples"
        )
    if epochs is None:
        epochs = training.repeats(fresh)
    try:
        steps = Offline(**_common(training), epochs=epochs).steps(count)
        online = _streaming(training, steps / (fresh * count))
        _streaming(training, steps / count).check(count)
        online.check(fresh * count)
    except ValidationError as error:
        raise _refused(error) from None
    except ValueError as error:
        raise RecipeError(f"comparison: training.{error}") from None
    if count < online.watermark:
        raise RecipeError(
            f"--samples {count} is below training.watermark = {online.watermark}: online training at equal solves "
            "would never start; give more --samples, or a smaller --fresh"
        )
    return Contest(_pool(pipeline, online, fresh * count), count, float(epochs), fresh, _seeds(training.seed, seeds))


def _streaming(training: Training, ratio: float | None = None) -> Online:
    """Return online training with the fields of ``training`` that it has too, and another ratio if one is given."""
    given = {name: value for name, value in training if name in Online.model_fields and name != "kind"}
    return Online.model_validate(given if ratio is None else given | {"batches_per_sample": ratio})


def _common(training: Training) -> Json:
    """Return the fields that training by steps has however its samples come, but for the seed."""
    return {name: value for name, value in training if name in Stepped.model_fields and name not in ("kind", "seed")}


def _pool(pipeline: Pipeline, online: Online, wanted: int) -> Pipeline:
    """Return the pipeline whose dataset has ``wanted`` training samples or a few more; nothing in it is calibrated."""
    data = pipeline.data
    samples = data.shard
    while data.splits.count(samples)["train"] < wanted:
        missing = (wanted - data.splits.count(samples)["train"]) * 20 / data.splits.train
        samples += max(1, int(missing // data.shard)) * data.shard
    size = data.model_dump() | {"samples": samples, "grow": None, "splits": data.splits}
    changes = {
        "name": f"{pipeline.name}-compare",
        "training": online,
        "uncertainty": LEAST,
        "gate": Gate(),
        "schedule": None,
    }
    try:
        return Pipeline.model_validate({**dict(pipeline), **changes, "data": Data.model_validate(size)})
    except ValidationError as error:
        raise _refused(error) from None


def _refused(error: ValidationError) -> RecipeError:
    """Return the first of the reasons in one line."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    return RecipeError(f"comparison: {field}: {said} (got {shown(first['input'])})" if field else f"comparison: {said}")


def _seeds(first: int, count: int) -> tuple[int, ...]:
    if count < 2:
        raise RecipeError(f"--seeds {count}: expected at least 2, for an interval")
    return tuple(range(first, first + count))
