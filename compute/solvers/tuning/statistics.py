"""What was seen of arms, as sums: those of two sequences add up to those of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

Arrays = Mapping[str, np.ndarray]

_HELD = 0.1


@dataclass(frozen=True)
class Statistics:
    """Sums over the systems that each of ``m`` arms answered, all float64.

    A system has terms ``x`` ``(p,)``, of which the first is 1, and took some work ``w`` with ``y = log w``.

    Attributes
    ----------
    count
        ``(m,)`` systems.
    xx, xy, yy
        ``(m, p, p)``, ``(m, p)`` and ``(m,)`` sums of ``x xᵀ``, ``x y`` and ``y²``: the linear regression of log work.
    xw
        ``(m, p)`` sum of ``x w``; the first is the work itself.
    loss
        ``(m,)`` sum of losses in (0, 1), each over the probability with which the arm was played: an estimate without
        bias of what the arm would have lost on all systems.
    """

    count: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray
    xw: np.ndarray
    loss: np.ndarray

    @classmethod
    def empty(cls, arms: int, terms: int) -> Statistics:
        """Return those of no system."""
        return cls(
            count=np.zeros(arms),
            xx=np.zeros((arms, terms, terms)),
            xy=np.zeros((arms, terms)),
            yy=np.zeros(arms),
            xw=np.zeros((arms, terms)),
            loss=np.zeros(arms),
        )

    @classmethod
    def of(cls, arrays: Arrays) -> Statistics:
        """Return what `arrays` gave."""
        return cls(**{field.name: np.asarray(arrays[field.name], np.float64) for field in fields(cls)})

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the sums by their names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __add__(self, other: Statistics) -> Statistics:
        mine, others = self.arrays(), other.arrays()
        return Statistics(**{name: mine[name] + others[name] for name in mine})

    @property
    def work(self) -> np.ndarray:
        """Work of each arm, ``(m,)``."""
        return self.xw[:, 0]

    @property
    def total(self) -> float:
        """Systems of all arms."""
        return float(self.count.sum())

    def lost(self, work: float) -> float:
        """Return the loss of a system that takes some work: in (0, 1) in any unit, ½ for the mean work so far."""
        mean = float(self.work.sum() + work) / (self.total + 1)
        return work / (work + mean)

    def played(self, arm: int, x: np.ndarray, work: float, loss: float) -> Statistics:
        """Return the sums with one more system.

        Parameters
        ----------
        arm
            What answered it.
        x
            ``(p,)`` its terms.
        work
            What it took, greater than 0.
        loss
            Its loss over the probability with which the arm was played.
        """
        y = float(np.log(work))
        seen = {
            "count": 1.0,
            "xx": np.outer(x, x),
            "xy": x * y,
            "yy": y * y,
            "xw": x * work,
            "loss": loss,
        }
        found = {name: values.copy() for name, values in self.arrays().items()}
        for name, value in seen.items():
            found[name][arm] += value
        return replace(self, **found)

    def on_all(self) -> np.ndarray:
        """Estimate the work of each arm had it answered all systems, ``(m,)``; NaN where it answered none.

        That is the regression of work on the terms, at the sum of the terms of all systems. Slopes are held to zero by
        a tenth of a system.
        """
        everywhere = self.xx[:, 0].sum(0)
        found = np.full(len(self.count), np.nan)
        for arm in np.flatnonzero(self.count):
            held = np.diag(np.r_[0.0, np.full(self.xx.shape[1] - 1, _HELD)])
            found[arm] = everywhere @ np.linalg.solve(self.xx[arm] + held, self.xw[arm])
        return found
