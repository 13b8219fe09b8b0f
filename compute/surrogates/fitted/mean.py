from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ritz.compute.surrogates.fitted.fitted import Blocks, Fitted
from ritz.compute.surrogates.normalisation import Normalisation

if TYPE_CHECKING:
    import torch


class Mean(Fitted):
    """The mean of the training outputs, whatever the input: what a surrogate has to beat."""

    kind: Literal["mean"] = "mean"

    any_grid: ClassVar[bool] = False

    def learn(self, normalisation: Normalisation, blocks: Blocks) -> dict[str, np.ndarray]:
        """Return the mean fields; see `Fitted.learn`."""
        total, count = {v.name: np.float64(0) for v in normalisation.outputs}, 0
        for block in blocks:
            total = {name: value + block[name].sum(axis=0, dtype=np.float64) for name, value in total.items()}
            count += len(next(iter(block.values())))
        if count < self.least:
            raise ValueError(f"got {count} training samples, expected at least {self.least} to average")
        mean = {name: np.asarray(value / count)[None] for name, value in total.items()}
        return {"mean": normalisation.encode("output", mean)[0]}

    def module(self, normalisation: Normalisation, buffers: dict[str, torch.Tensor]) -> torch.nn.Module:
        """Return the constant map; see `Fitted.module`."""
        from ritz.compute.surrogates.networks.buffers import ConstantField

        del normalisation
        return ConstantField(buffers)
