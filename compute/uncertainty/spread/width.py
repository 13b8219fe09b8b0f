from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np

from ritz.compute.kind import Kind

_COSINES = 4
_FLOOR = 1e-2
_CLIP = 4.0
_POINTS = 40_000
_OFFSETS = (0.01, 0.1, 0.3, 1.0)
_SHARE = 0.9


class Width(Kind):
    """The typical size of a surrogate's error at a point, learnt from the input and the prediction alone.

    log w = β·f, with f the features of `features`, standardised and held within four standard deviations, and
    β a Huber regression of log(|error| + offset): the long tail of small errors, where the error changes its
    sign, has a bounded pull. A large offset makes the width flatter. Among 1, 10, 30 and 100 % of the mean
    error the one is taken whose band around 90 % of the points it was learnt on is the narrowest on average.

    On a mesh, whose numbering says nothing of the place, the mean log(|error|) of every node over the samples it was
    learnt on stands for the location; while it is learnt, of all samples but the one in hand.

    Source: Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35, 1964, by iteratively
    reweighted least squares.
    """

    logs: tuple[str, ...]
    """Inputs whose logarithm is taken."""
    inputs: tuple[str, ...]
    """Inputs the features are taken from."""
    scale: float
    """Root mean square of the prediction where the width was learnt."""
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    space: tuple[int, ...] | None = None
    """Axes of space of a sample; None for all."""
    profile: tuple[float, ...] | None = None
    """On a mesh the mean log of the error at every node, in units of the scale."""

    @classmethod
    def fit(
        cls,
        inputs: Mapping[str, np.ndarray],
        prediction: np.ndarray,
        error: np.ndarray,
        logs: tuple[str, ...] = (),
        space: tuple[int, ...] | None = None,
        mesh: bool = False,
    ) -> Width:
        """Learn the width of one output.

        Parameters
        ----------
        inputs
            What broadcasts against ``prediction``, with all its axes, for every input.
        prediction, error
            ``(n, *dims)``; ``error`` is absolute.
        logs
            Inputs whose logarithm is the natural scale.
        space
            Axes of space of a sample (0 is the first after the samples); all by default.
        mesh
            Whether the one axis of space is that of the nodes of a mesh.

        Raises
        ------
        ValueError
            If there is no sample.
        """
        if len(error) == 0:
            raise ValueError("there is no validation sample to learn the width on; give the validate split a share")
        scale = float(np.sqrt(np.mean(np.square(prediction, dtype=np.float64)))) or 1.0
        names = tuple(sorted(inputs))
        rng = np.random.default_rng(0)
        points = prediction[0].size
        few = min(points, -(-_POINTS // len(prediction)))
        profiles = _Profiles(error, scale, space) if mesh else None
        rows, size = [], []
        for i, field in enumerate(prediction):
            chosen = rng.choice(points, few, replace=False)
            profile = None if profiles is None else profiles.without(i)
            found = features({name: inputs[name][i] for name in names}, field, scale, logs, space, profile)
            rows.append(found.reshape(points, -1)[chosen])
            size.append(error[i].ravel()[chosen].astype(np.float64))
        coefficients, intercept, mean, deviation = _regress(np.concatenate(rows), np.concatenate(size))
        return cls(
            logs=logs,
            inputs=names,
            scale=scale,
            mean=tuple(mean.tolist()),
            deviation=tuple(deviation.tolist()),
            coefficients=tuple(coefficients.tolist()),
            intercept=intercept,
            space=space,
            profile=None if profiles is None else tuple(profiles.mean().tolist()),
        )

    def predict(self, inputs: Mapping[str, np.ndarray], prediction: np.ndarray) -> np.ndarray:
        """Return the width at every point, ``(n, *dims)`` float64, positive.

        Raises
        ------
        ValueError
            If an input is missing.
        """
        missing = [name for name in self.inputs if name not in inputs]
        if missing:
            raise ValueError(f"inputs {missing} are missing, got {sorted(inputs)}")
        width = np.empty(prediction.shape)
        profile = None if self.profile is None else np.array(self.profile)
        for i, field in enumerate(prediction):
            given = {name: inputs[name][i] for name in self.inputs}
            found = features(given, field, self.scale, self.logs, self.space, profile)
            standard = _standard(found, np.array(self.mean), np.array(self.deviation))
            width[i] = np.exp(standard @ np.array(self.coefficients) + self.intercept)
        return width


def _standard(rows: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return standardised features, held within bounds so that a strange sample is not extrapolated to."""
    values: np.ndarray = np.clip((rows - mean) / deviation, -_CLIP, _CLIP)
    return values


def _regress(rows: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """Regress log(size + offset) on the features; return coefficients, intercept, mean and deviation."""
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    design = np.column_stack([np.ones(len(rows)), _standard(rows, mean, deviation)])
    unit = float(size.mean()) or 1.0
    candidates = [_huber(design, np.log(size / unit + offset)) for offset in _OFFSETS]
    best = min(candidates, key=lambda beta: _mean_width(size, design @ beta))
    return best[1:], float(best[0] + np.log(unit)), mean, deviation


def _huber(design: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the coefficients of a Huber regression, with a slight penalty that keeps them unique."""
    penalty = 1e-3 * len(design) * np.eye(design.shape[1])
    penalty[0, 0] = 0
    weights = np.ones(len(design))
    for _ in range(20):
        weighted = design * weights[:, None]
        beta = np.linalg.solve(design.T @ weighted + penalty, weighted.T @ target)
        off = np.abs(target - design @ beta)
        # 1.345 deviations, by the median of a Gaussian's absolute value: 95 % efficient without outliers.
        bound = 1.345 * np.median(off) / 0.6745
        weights = np.minimum(1.0, bound / np.maximum(off, 1e-12)) if bound > 0 else np.ones(len(design))
    return beta


def _mean_width(size: np.ndarray, log_width: np.ndarray) -> float:
    """Return the mean width of the band that holds 90 % of the errors."""
    width = np.exp(log_width - log_width.max())
    return float(np.quantile(size / width, _SHARE) * width.mean())


class _Profiles:
    """Mean log errors of the nodes of a mesh, over all samples and over all but one."""

    def __init__(self, error: np.ndarray, scale: float, space: tuple[int, ...] | None) -> None:
        node = 0 if space is None else space[0]
        logs = np.log(error.astype(np.float64) / scale + _FLOOR * float(error.mean() / scale or 1.0))
        others = tuple(axis for axis in range(1, logs.ndim) if axis != 1 + node)
        self._logs = logs.mean(axis=others)
        self._total = self._logs.sum(axis=0)

    def mean(self) -> np.ndarray:
        """Return the mean over the samples, ``(nodes,)``."""
        values: np.ndarray = self._total / len(self._logs)
        return values

    def without(self, i: int) -> np.ndarray:
        """Return the mean over the samples but one; of a single sample, the mean of its nodes."""
        if len(self._logs) == 1:
            return np.full_like(self._total, self._total.mean())
        values: np.ndarray = (self._total - self._logs[i]) / (len(self._logs) - 1)
        return values


def features(
    inputs: Mapping[str, np.ndarray],
    prediction: np.ndarray,
    scale: float,
    logs: tuple[str, ...],
    space: tuple[int, ...] | None = None,
    profile: np.ndarray | None = None,
) -> np.ndarray:
    """Return what the width of one sample depends on, ``(*dims, feature)`` float64.

    At a point: the prediction's size and gradient, every input's value and gradient, low cosines of the location in
    space and along every other axis. For the whole sample: the same sizes and gradients as root mean squares, and
    every input's mean, spread and extremes. Sizes and gradients enter by their logarithm. Gradients are along space,
    over the unit box, so the features of a field do not depend on its grid. An input that is one number enters as it
    is. On a mesh there are no gradients, and ``profile`` stands for the location.

    Parameters
    ----------
    inputs, prediction
        Fields of one sample; the inputs have one point along the axes they lack.
    scale
        Unit of the prediction.
    logs
        Inputs whose logarithm is taken.
    space
        Axes of space; all by default.
    profile
        ``(nodes,)`` on a mesh, one number for every node.
    """
    points = prediction.shape
    axes = tuple(range(len(points))) if space is None else space
    steep = axes if profile is None else ()
    u = prediction.astype(np.float64) / scale
    columns: list[np.ndarray | float] = []
    for local in (np.abs(u), *_slopes(u, steep)):
        columns += [np.log(local + _FLOOR), np.log(_root_mean_square(local) + _FLOOR)]
    for name in sorted(inputs):
        z = inputs[name].astype(np.float64)
        z = np.log(z) if name in logs else z
        columns.append(z)
        if z.size == 1:
            continue
        slopes = _slopes(z, tuple(axis for axis in steep if z.shape[axis] > 1))
        columns += [np.log(slope + _FLOOR) for slope in slopes]
        columns += [z.mean(), z.std(), z.max(), z.min()]
        columns += [np.log(_root_mean_square(slope) + _FLOOR) for slope in slopes]
    groups = [axes] if profile is None else []
    for group in groups + [(axis,) for axis in range(len(points)) if axis not in axes]:
        columns += _cosines(points, group)
    if profile is not None:
        columns.append(np.expand_dims(profile, tuple(i for i in range(len(points)) if i != axes[0])))
    return np.stack([np.broadcast_to(column, points) for column in columns], axis=-1)


def _cosines(points: tuple[int, ...], axes: tuple[int, ...]) -> list[np.ndarray]:
    """Return the products of low cosines along some of the axes, without the constant."""
    waves = []
    for numbers in list(product(range(_COSINES), repeat=len(axes)))[1:]:
        wave = np.ones([count if axis in axes else 1 for axis, count in enumerate(points)])
        for axis, k in zip(axes, numbers, strict=True):
            line = np.cos(np.pi * k * (np.arange(points[axis]) + 0.5) / points[axis])
            wave = wave * np.expand_dims(line, tuple(i for i in range(len(points)) if i != axis))
        waves.append(wave)
    return waves


def _root_mean_square(field: np.ndarray) -> float:
    """Return the root of the mean square over the points."""
    return float(np.sqrt(np.mean(field**2)))


def _slopes(field: np.ndarray, axes: tuple[int, ...]) -> list[np.ndarray]:
    """Return the length of the gradient over the unit box at every point; nothing where there are no axes."""
    if not axes:
        return []
    total = np.zeros_like(field)
    for axis in axes:
        total += np.gradient(field, 1 / field.shape[axis], axis=axis) ** 2
    return [np.sqrt(total)]
