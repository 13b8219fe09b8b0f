"""What a report shows of a sample: its fields cut down to one or two dimensions, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ritz.compute.fields.dimensions import NODE
from ritz.tasks.report.figures.theme import plain
from ritz.tasks.report.material import Material

SPACE_DRAWN = 2
"""Dimensions of space that are drawn; of more, the middle of the first."""

FEW = 4
"""An input of at most so many numbers is written, not drawn."""


@dataclass(frozen=True)
class Drawn:
    """A field that can be drawn: ``values`` over ``dims``, one or two of them."""

    dims: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True)
class Shown:
    """One sample of one output.

    Attributes
    ----------
    inputs
        Those that are drawn.
    numbers
        Those that are written, by name.
    dims
        Of ``truth``, ``prediction``, ``half_width`` and ``centre``, which are cut alike.
    relative_l2, inside
        Error and share of points inside the band, of the whole field.
    predicted
        Whether there is a prediction; without one ``prediction`` and ``centre`` are NaN.
    """

    output: str
    row: int
    inputs: dict[str, Drawn]
    numbers: dict[str, np.ndarray]
    dims: tuple[str, ...]
    truth: np.ndarray
    prediction: np.ndarray
    half_width: np.ndarray | None
    centre: np.ndarray
    relative_l2: float
    inside: float
    predicted: bool = True

    @staticmethod
    def of(material: Material, output: str, row: int) -> Shown:
        """Cut one row of the material down to what is drawn."""
        truth, predicted = material.truth[output][row].astype(float), output in material.prediction
        prediction = material.prediction[output][row].astype(float) if predicted else np.full_like(truth, np.nan)
        half_width = material.half_width[output][row].astype(float) if output in material.half_width else None
        centre = material.centre[output][row].astype(float) if output in material.centre else prediction
        norm = np.linalg.norm(truth)
        inputs = {name: cut(material, name, np.asarray(values[row])) for name, values in material.inputs.items()}
        drawn = cut(material, output, truth)
        written = {name: one.values for name, one in inputs.items() if _is_written(material, one)}
        return Shown(
            output,
            row,
            {name: one for name, one in inputs.items() if name not in written},
            written,
            drawn.dims,
            drawn.values,
            cut(material, output, prediction).values,
            None if half_width is None else cut(material, output, half_width).values,
            cut(material, output, centre).values,
            float(np.linalg.norm(prediction - truth) / norm) if norm > 0 else np.nan,
            np.nan if half_width is None else float(np.mean(np.abs(centre - truth) <= half_width)),
            predicted,
        )

    def heading(self, material: Material) -> str:
        """Return the line above the sample: which it is, how good it is, its numbers (several below it)."""
        label = f", {material.labels[self.row]}" if self.row < len(material.labels) else ""
        parts = [f"sample {material.sample_id[self.row]}{label}"]
        if self.predicted:
            parts = [f"{parts[0]}:  relative L2 {self.relative_l2:.3g}"]
        if np.isfinite(self.inside):
            parts.append(f"{100 * self.inside:.0f} % of the points inside the {band(material)}")
        numbers = self._numbers(material)
        rows = [parts + numbers] if len(numbers) < 2 else [parts, numbers]
        return "\n".join(plain(",  ".join(row)) for row in rows)

    def _numbers(self, material: Material) -> list[str]:
        found = []
        for name, values in self.numbers.items():
            called = material.label(name) if len(self.numbers) == 1 else name
            several = ", ".join(f"{value:.4g}" for value in np.ravel(values))
            found.append(f"{called} = {several} {material.unit(name)}".rstrip())
        return found


def cut(material: Material, name: str, values: np.ndarray) -> Drawn:
    """Cut one sample of a variable down to what is drawn.

    Of time the last is taken, unless space has one dimension alone, of a third dimension of space the middle, of any
    other dimension the first entry. What does not lie along space keeps its last dimension.
    """
    dims = material.dims(name, values.ndim)
    kept = _kept(material, dims)
    where = tuple(slice(None) if dim in kept else index for dim, index in _cuts(material, dims, values.shape).items())
    return Drawn(kept, values[where].astype(float))


def with_time(material: Material, name: str, values: np.ndarray) -> Drawn | None:
    """Return the drawn part of one sample of a variable at all times, the time first; None where it has none."""
    dims = material.dims(name, values.ndim)
    times = [dim for dim in dims if material.is_time(dim)]
    if not times:
        return None
    kept = tuple(dim for dim in _kept(material, dims) if dim not in times)
    cuts = _cuts(material, dims, values.shape)
    where = tuple(slice(None) if dim in (*times, *kept) else index for dim, index in cuts.items())
    left = [dim for dim in dims if dim in (*times, *kept)]
    return Drawn((*times, *kept), np.moveaxis(values[where].astype(float), left.index(times[0]), 0))


def caption(material: Material, output: str) -> str:
    """Return where the drawn fields of an output lie, as a sentence; empty where all of them is drawn."""
    there = place(material, output, material.truth[output].shape[1:])
    return f" Shown {there}; errors are of the whole field." if there else ""


def place(material: Material, output: str, shape: tuple[int, ...], over_time: bool = False) -> str:
    """Return where the drawn part of an output of this shape lies, e.g. ``"at z = 0.5"``; empty where all is drawn.

    What is drawn ``over_time`` lies at no single one.
    """
    dims = material.dims(output, len(shape))
    parts = []
    for dim, index in _cuts(material, dims, shape).items():
        if dim in _kept(material, dims) or (over_time and material.is_time(dim)):
            continue
        parts.append(at(material, dim, index))
    return ", ".join(parts)


def at(material: Material, dim: str, index: int) -> str:
    """Return where one entry along a dimension lies, e.g. ``"at y = 0.5 m"``."""
    along = material.coordinates.get(dim)
    there = f"{float(along[index]):.4g}" if along is not None else f"entry {index + 1}"
    unit = f" {material.unit(dim)}" if material.unit(dim) else ""
    last = " (the last that is stored)" if material.is_time(dim) else ""
    return f"at {dim} = {there}{unit}{last}"


def explanation(material: Material, output: str) -> str:
    """Return what the picture of an output's samples shows, in sentences."""
    lines = cut(material, output, material.truth[output][0])
    if lines.values.ndim == 1 and lines.dims != (NODE,):
        return (
            f"Test samples, chosen by their {material.chosen_by}: inputs; truth (solid) and prediction (dashed) with "
            "its band (shaded); the error, inside the shaded part wherever the band covers the truth."
            + caption(material, output)
        )
    return (
        f"Test samples, chosen by their {material.chosen_by}. Truth and prediction share a colour scale. The error is "
        "red where the prediction is too high. The last map has the distance of the truth from the middle of the band, "
        "in half widths: blue is inside, red outside." + caption(material, output)
    )


def band(material: Material) -> str:
    """Return what the band is called."""
    return f"{100 * material.level:g} % band"


def named(material: Material, name: str, limit: int = 32) -> str:
    """Return a variable with its symbol and unit, as the title of a panel; the symbol alone where it is too long."""
    unit = f" ({material.unit(name)})" if material.unit(name) else ""
    whole = material.label(name) + unit
    return plain(whole if len(whole) <= limit else name + unit, limit)


def axis_name(material: Material, dim: str) -> str:
    """Return a dimension with its unit, as the label of an axis."""
    unit = material.unit(dim)
    return plain(dim + (f" ({unit})" if unit else ""), 24)


def is_log(material: Material, name: str, values: np.ndarray) -> bool:
    """Return whether a variable is drawn on a logarithmic scale."""
    return material.attrs.get(name, {}).get("transform") == "log" and bool((values > 0).all())


def span(*fields: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest finite value, never the same."""
    values = np.concatenate([field[np.isfinite(field)] for field in fields])
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    return (low, high) if high > low else (low, low + (abs(low) or 1.0))


def positions(material: Material, dim: str, points: int) -> np.ndarray:
    """Return the coordinates along a dimension, the numbers of the points where there are none that fit."""
    x = material.coordinates.get(dim, np.arange(points))
    fits = np.shape(x) == (points,) and np.asarray(x).dtype.kind in "iuf"
    return np.asarray(x if fits else np.arange(points), float)


def _kept(material: Material, dims: tuple[str, ...]) -> tuple[str, ...]:
    """Return the dimensions that are drawn: of space, and time beside a single one of space."""
    space = tuple(dim for dim in dims if material.is_space(dim))
    if len(space) == 1:
        return tuple(dim for dim in dims if dim in space or material.is_time(dim))
    return space[-SPACE_DRAWN:] if space else dims[-1:]


def _cuts(material: Material, dims: tuple[str, ...], shape: tuple[int, ...]) -> dict[str, int]:
    """Return at which index each dimension would be cut."""

    def index(dim: str, points: int) -> int:
        if material.is_time(dim):
            return points - 1
        return points // 2 if material.is_space(dim) else 0

    return {dim: index(dim, points) for dim, points in zip(dims, shape, strict=True)}


def _is_written(material: Material, drawn: Drawn) -> bool:
    along_space = any(material.is_space(dim) for dim in drawn.dims)
    return drawn.values.ndim == 0 or (not along_space and drawn.values.size <= FEW)
