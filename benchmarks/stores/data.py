"""Samples to store: solved Darcy fields, and as many exact solutions made from them as are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ritz.compute.problems.darcy import Darcy
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.storage.ledger import SPLITS

RTOL = 1e-8
SHARD = 16
SOLVERS = ("multigrid",)

# As the recipes have them: 12, 2, 0, 3 and 3 of 20.
_BLOCK = np.repeat(np.array(SPLITS), (12, 2, 0, 3, 3))


@dataclass(frozen=True)
class Samples:
    """Solved fields ``a`` and ``u``, ``(solved, y, x)`` float32.

    If u solves −∇·(a ∇u) = 1 then u/c does for c·a, and so do both after a symmetry of the square: sample i is the
    field ``i % solved`` turned by one of 8 symmetries and scaled by its own c. All samples differ in every bit, and
    compress as solved fields do.
    """

    a: np.ndarray
    u: np.ndarray

    @classmethod
    def solve(cls, points: int, solved: int = 32) -> Samples:
        problem = Darcy(shape=(points, points))
        inputs = problem.draw(0, np.arange(solved))
        outputs, ledger = simulate(problem, inputs, Multigrid(), RTOL)
        assert set(ledger["status"]) == {"ok"}
        return cls(inputs["a"], outputs["u"].astype(np.float32))

    @property
    def points(self) -> int:
        return self.a.shape[-1]

    def shard(self, index: int) -> dict[str, np.ndarray]:
        """Return the fields of a shard, ``(SHARD, y, x)``."""
        return {
            name: np.stack([self._sample(name, i) for i in range(index * SHARD, (index + 1) * SHARD)])
            for name in ("a", "u")
        }

    def _sample(self, name: str, i: int) -> np.ndarray:
        field = {"a": self.a, "u": self.u}[name][i % len(self.a)]
        turn, flip = divmod(i // len(self.a) % 8, 2)
        turned = np.rot90(field[:, ::-1] if flip else field, turn)
        scale = np.random.default_rng(i).uniform(0.5, 2)
        return np.ascontiguousarray(turned * np.float32(scale if name == "a" else 1 / scale))

    def template(self, n: int) -> xr.Dataset:
        return Darcy(shape=(self.points, self.points)).template(n)


def definition(template: xr.Dataset, shard: int = SHARD) -> dict:
    """Return what `Committer.ensure` and `ritz.storage.layout.layout` take."""
    n = template.sizes["sample"]
    return {
        "template": template,
        "identity": "benchmark",
        "recipe": {"problem": {"kind": "darcy"}},
        "sample_id": np.arange(n),
        "split": np.resize(_BLOCK, n)[np.random.default_rng(0).permutation(n)],
        "shard": shard,
        "solvers": SOLVERS,
        "attrs": {"rtol": RTOL},
    }


def ledger(n: int = SHARD) -> Mapping[str, list]:
    """Return the ledger of a shard in which all went well."""
    rng = np.random.default_rng(n)
    return {
        "status": ["ok"] * n,
        "reason": [""] * n,
        "residual": (10.0 ** -rng.uniform(8.1, 9, n)).tolist(),
        "iterations": rng.integers(5, 9, n).tolist(),
        "matvecs": rng.integers(9, 20, n).tolist(),
        "seconds": rng.uniform(0.01, 0.02, n).tolist(),
        "solver": [SOLVERS[0]] * n,
    }
