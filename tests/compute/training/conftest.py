from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

from ritz.compute.problems.evolutions.advection_diffusion import AdvectionDiffusion
from ritz.compute.problems.problem import Arrays
from ritz.compute.problems.ranges import Range
from ritz.compute.surrogates.rollout.refiner import Refiner
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.supply import Arrivals, Given

SHARD = 4


@pytest.fixture
def template() -> xr.Dataset:
    nothing = np.broadcast_to(np.float32(np.nan), (1, 8, 8))
    return xr.Dataset(
        {
            "a": (("sample", "y", "x"), nothing, {"role": "input", "transform": "log"}),
            "u": (("sample", "y", "x"), nothing, {"role": "output", "transform": "identity"}),
        },
        attrs={"symmetries": Samples.symmetries},
    )


class Samples:
    """A small dataset whose output is a blur of the input's logarithm; every fourth sample validates."""

    symmetries = "square"
    """As in the template; see `Problem.template`."""

    def __init__(self, n: int, shard: int = SHARD) -> None:
        self.fields = {name: values.astype(np.float32) for name, values in self.made(n).items()}
        self.split = np.where(np.arange(n) % 4 == 3, "validate", "train")
        self.shard, self.shards = shard, n // shard

    def made(self, n: int) -> Arrays:
        z = np.random.default_rng(11).standard_normal((n, 8, 8))
        u = 2 + z + np.roll(z, 1, axis=1) + np.roll(z, -1, axis=1) + np.roll(z, 1, axis=2) + np.roll(z, -1, axis=2)
        return {"a": np.exp(z), "u": u}

    def block(self, shard: int) -> Block:
        return self.refill(np.arange(shard * self.shard, (shard + 1) * self.shard), shard)

    def refill(self, ids: np.ndarray, shard: int = -1) -> Block:
        backwards = ids[::-1] if shard < 0 else ids
        fields = {name: values[backwards] for name, values in self.fields.items()}
        return Block(shard, backwards.astype(np.int64), self.split[backwards], fields)

    def arrivals(self, order: list[int] | None = None) -> Callable[[frozenset[int]], Iterator[Block]]:
        def blocks(received: frozenset[int]) -> Iterator[Block]:
            for shard in order if order is not None else range(self.shards):
                if shard not in received:
                    yield self.block(shard)

        return blocks

    def source(self, template: xr.Dataset, arrivals: Arrivals | None = None, samples: int = 30) -> Given:
        """All of it as a stream of ``samples`` training samples."""
        return Given(template, lambda ids: self.refill(ids), arrivals or self.arrivals(), samples)


WIND = AdvectionDiffusion(
    shape=(8,), velocity_x=Range(low=0.5, high=1.5), viscosity=0.01, steps=6, store_every=2, end=0.3
)


class Trajectories(Samples):
    """A small dataset of trajectories, each with a wind of its own."""

    symmetries = "none"

    def made(self, n: int) -> Arrays:
        inputs = WIND.draw(0, np.arange(n))
        # Explicit steps pose no systems.
        return {**inputs, **WIND.simulate(inputs, lambda systems: systems.rhs)}


@pytest.fixture
def samples() -> Samples:
    return Samples(40)


@dataclass(frozen=True)
class Lesson:
    """What is learnt, and by which surrogate."""

    surrogate: Surrogate
    template: xr.Dataset
    samples: Samples


TINY = FNO(modes=4, width=6, layers=2)

STEPS = {
    "pushed": Stepping(inner=TINY, pairs_per_sample=2, pushforward=2, noise=0.1),
    "all-pairs": Stepping(inner=TINY, pairs="all", pairs_per_sample=2),
    "refined": Refiner(inner=TINY, passes=2, pairs_per_sample=2),
}
"""Surrogates that step through trajectories; what they draw in a step of a training follows from its number."""


@pytest.fixture(params=["steady", *STEPS])
def lesson(request: pytest.FixtureRequest, template: xr.Dataset) -> Lesson:
    """A steady problem and a network, and a problem in time with surrogates that step."""
    if request.param == "steady":
        return Lesson(TINY, template, Samples(40))
    return Lesson(STEPS[request.param], WIND.template(1), Trajectories(40))
