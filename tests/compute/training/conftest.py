from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import xarray as xr

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
        attrs={"symmetries": "square"},
    )


class Samples:
    """A small dataset whose output is a blur of the input's logarithm; every fourth sample validates."""

    def __init__(self, n: int, shard: int = SHARD) -> None:
        rng = np.random.default_rng(11)
        z = rng.standard_normal((n, 8, 8))
        u = 2 + z + np.roll(z, 1, axis=1) + np.roll(z, -1, axis=1) + np.roll(z, 1, axis=2) + np.roll(z, -1, axis=2)
        self.fields = {"a": np.exp(z).astype(np.float32), "u": u.astype(np.float32)}
        self.split = np.where(np.arange(n) % 4 == 3, "validate", "train")
        self.shard, self.shards = shard, n // shard

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


@pytest.fixture
def samples() -> Samples:
    return Samples(40)
