from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Kind, Source, in_units


@dataclass(frozen=True)
class TransportIndices:
    """Transport-based indices of quantities.

    Attributes
    ----------
    value
        ``(q, d)`` float64, from 0 for a coordinate without any influence, which may come out negative, to 1 for one
        that determines the quantity.
    noise
        ``(q,)``, the largest index of several coordinates without influence: one below it is not told from 0.
    """

    value: np.ndarray
    noise: np.ndarray


class TransportSensitivity(Kind):
    """How much the distribution of a quantity moves when a coordinate is known: by optimal transport in one dimension.

    The index is ``E[W²(law of Y, law of Y given xᵢ)] / (2 var Y)`` with W the 2-Wasserstein distance. Half of Sobol's
    first-order index is the part of it by which means move; the rest comes from the shape. In one dimension quantiles
    are matched with quantiles, so sorting takes the place of a network that learns the maps. The samples are those of
    any design, also stored ones. They are cut into classes of a coordinate with equally many samples, and each class
    stands for the law given the coordinate.

    So few samples of a class lie away from the whole by chance, by as much as those of a coordinate without influence
    do. That is taken off, in proportion to the variance that is left inside of the classes.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((4000, 2))
    >>> found = TransportSensitivity().analyse(x, x[:, :1])
    >>> bool(found.value[0, 0] > 0.9), bool(found.value[0, 1] < 0.02)
    (True, True)
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "Borgonovo, Figalli, Plischke and Savaré",
            "Global sensitivity analysis via optimal transport",
            2024,
            "Management Science",
            "zero if and only if the quantity does not depend on the coordinate; sees more than variances do",
            "sensitivity.txt",
        ),
        Source(
            "Rodriguez-Pardo et al.",
            "Neural conditional transport maps",
            2025,
            "arXiv:2505.15808",
            "one learnt conditional map gives the indices; for a scalar quantity sorting gives them exactly",
            "sensitivity.txt",
        ),
    )

    kind: Literal["transport"] = "transport"
    classes: int = Field(default=32, ge=2, json_schema_extra=in_units("classes of a coordinate"))
    """Classes of a coordinate; more of them see narrower effects and are noisier."""
    shuffles: int = Field(default=20, ge=1, json_schema_extra=in_units("coordinates without influence"))
    """How often a coordinate without influence is tried, for the noise."""

    def analyse(self, points: np.ndarray, values: np.ndarray, seed: int = 0) -> TransportIndices:
        """Return the indices of quantities in coordinates.

        Parameters
        ----------
        points
            ``(n, d)`` coordinates in any unit; only their order counts.
        values
            ``(n, q)`` quantities.
        seed
            Of the coordinates without influence.

        Raises
        ------
        ValueError
            The shapes do not go together, a number is not finite, a class would have fewer than ten samples, or a
            quantity is the same in all samples.
        """
        for name, one in (("points", points), ("values", values)):
            if one.ndim != 2 or len(one) != len(points) or not one.shape[1]:
                raise ValueError(f"{name} has shape {one.shape}, expected (n, columns) of as many samples each")
            lost = int(np.sum(~np.isfinite(one)))
            if lost:
                raise ValueError(f"{name} has {lost} of {one.size} values that are not finite, expected finite numbers")
        if len(points) < 10 * self.classes:
            raise ValueError(
                f"there are {len(points)} samples, expected {10 * self.classes} or more: ten per class of classes = "
                f"{self.classes}"
            )
        numbers = np.random.default_rng(seed)
        orders = [np.argsort(column, kind="stable") for column in points.T]
        chance = [numbers.permutation(len(points)) for _ in range(self.shuffles)]
        value = np.empty((values.shape[1], points.shape[1]))
        noise = np.empty(len(value))
        for number, column in enumerate(values.T.astype(np.float64)):
            if column.min() == column.max():
                raise ValueError(f"quantity {number} is {column[0]:g} in all samples, expected one that varies")
            raw, inside = self._moved(column, orders)
            idle, _ = self._moved(column, chance)
            value[number] = raw - inside * idle.mean()
            noise[number] = idle.max() - idle.mean()
        return TransportIndices(value, noise)

    def _moved(self, values: np.ndarray, orders: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the index by each order as the classes have it, and the share of the variance inside of classes."""
        scaled = (values - values.mean()) / values.std()
        whole = np.sort(scaled)
        masses = {size: _masses(whole, size) for size in {len(values) // self.classes, -(-len(values) // self.classes)}}
        moved, inside = [], []
        for order in orders:
            parts = [np.sort(scaled[part]) for part in np.array_split(order, self.classes)]
            moved.append(
                sum(len(part) * _squared(whole, part, masses[len(part)]) for part in parts) / (2 * len(values))
            )
            inside.append(sum(len(part) * part.var() for part in parts) / len(values))
        return np.array(moved), np.array(inside)


def squared_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the squared 2-Wasserstein distance of two samples, exactly.

    Parameters
    ----------
    one, other
        ``(n,)`` and ``(m,)``, sorted.

    Examples
    --------
    >>> squared_distance(np.array([0.0, 2.0]), np.array([1.0]))
    1.0
    """
    centre = one.mean()
    return _squared(one - centre, other - centre, _masses(one - centre, len(other)))


def _squared(one: np.ndarray, other: np.ndarray, masses: np.ndarray) -> float:
    return max(0.0, float(np.mean(one**2) + np.mean(other**2) - 2 * other @ masses))


def _masses(values: np.ndarray, parts: int) -> np.ndarray:
    """Return the integrals of the quantile function of sorted values over equal parts of (0, 1)."""
    integral = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(parts + 1) * (len(values) / parts)
    masses: np.ndarray = np.diff(np.interp(at, np.arange(len(values) + 1), integral)) / len(values)
    return masses
