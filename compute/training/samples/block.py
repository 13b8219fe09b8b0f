from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ritz.compute.surrogates.normalisation import Arrays


@dataclass(frozen=True)
class Block:
    """The samples of one shard that were solved, as they arrive at the trainer.

    Attributes
    ----------
    shard
        Number of the shard.
    ids
        ``(n,)`` int64 sample ids; may be empty.
    split
        ``(n,)`` names of the split of each sample.
    fields
        ``(n, *dims)`` for every variable, in physical units and finite.
    """

    shard: int
    ids: np.ndarray
    split: np.ndarray
    fields: Arrays

    def __post_init__(self) -> None:
        lengths = {"ids": len(self.ids), "split": len(self.split)}
        lengths |= {name: len(values) for name, values in self.fields.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"block {self.shard} has entries of the lengths {lengths}, expected one length")

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.ids)

    def take(self, index: np.ndarray) -> Block:
        """Return some of the samples, by position or mask."""
        fields = {name: values[index] for name, values in self.fields.items()}
        return Block(self.shard, self.ids[index], self.split[index], fields)
