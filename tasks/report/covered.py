"""How often each value, and how much of each sample, was inside its band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ritz.compute.fields.tensors import unpack
from ritz.tasks.documents.of_model import CELLS

LABELS = {"least covered": 0.0, "coverage at the 10th percentile": 0.1, "median coverage": 0.5, "best covered": 1.0}
"""Samples that stand for all, by the rank of their coverage among them."""


@dataclass(frozen=True)
class Covered:
    """How often each value, and how much of each test sample, was inside its band.

    Attributes
    ----------
    level
        Nominal coverage of the bands.
    cells
        Share of the test samples inside at each point, by output, ``(*dims)``.
    shares
        ``(n,)`` share of the points of each test sample inside.
    sample_id
        ``(n,)`` ids of these samples in the dataset.
    """

    level: float
    cells: dict[str, np.ndarray]
    shares: np.ndarray
    sample_id: np.ndarray

    @staticmethod
    def of(blob: bytes | None) -> Covered | None:
        """Read what lies beside a model, `COVERAGE_MAP`; None where there is nothing, as of an earlier release."""
        if blob is None:
            return None
        arrays, header = unpack(blob)
        cells = {name.removeprefix(CELLS): values for name, values in arrays.items() if name.startswith(CELLS)}
        return Covered(float(header["level"]), cells, arrays["shares"].astype(float), arrays["sample_id"])

    def least(self, count: int) -> list[tuple[int, float]]:
        """Return the ids and shares of the samples of which the smallest shares were inside, the least first."""
        order = np.argsort(self.shares, kind="stable")[:count]
        return [(int(self.sample_id[row]), float(self.shares[row])) for row in order]

    def chosen(self) -> dict[str, int]:
        """Choose the samples that are shown by their coverage: label → id, fewer where there are fewer samples."""
        order = np.argsort(self.shares, kind="stable")
        found: dict[str, int] = {}
        for label, share in LABELS.items() if len(order) else ():
            sample = int(self.sample_id[order[int(np.floor(share * (len(order) - 1) + 0.5))]])
            if sample not in found.values():
                found[label] = sample
        return found
