from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.worker.report.material import Material
from tasks.worker.report.theme import NORMAL, SMALL, Theme, dress, figure, legend, log_axis, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

ROWS = 4
"""At most so many samples are shown."""

WIDTH = 10.6
"""Of the figure, in inches."""


def samples(material: Material, output: str, theme: Theme) -> Figure:
    """Draw samples: inputs, truth, prediction, error and band, a row a sample.

    Fields in one dimension are lines, in two images, in more the middle slice of the leading axes. Truth and
    prediction share a scale, error and half width too.
    """
    shown = [_Sample.of(material, output, row) for row in range(min(ROWS, len(material.truth[output])))]
    return (_lines if shown[0].truth.ndim == 1 else _images)(material, shown, theme)


@dataclass(frozen=True)
class _Sample:
    """One sample of one output, sliced down to the dimensions that can be drawn."""

    output: str
    row: int
    inputs: dict[str, np.ndarray]
    numbers: dict[str, float]
    truth: np.ndarray
    prediction: np.ndarray
    half_width: np.ndarray | None
    axes: tuple[str, ...]
    relative_l2: float
    inside: float

    @staticmethod
    def of(material: Material, output: str, row: int) -> _Sample:
        truth, prediction = (fields[output][row].astype(float) for fields in (material.truth, material.prediction))
        half_width = material.half_width[output][row].astype(float) if output in material.half_width else None
        norm = np.linalg.norm(truth)
        names = tuple(material.coordinates) or tuple(f"axis {axis}" for axis in range(truth.ndim))
        return _Sample(
            output,
            row,
            {name: _slice(values[row]) for name, values in material.inputs.items() if values.ndim > 1},
            {name: float(values[row]) for name, values in material.inputs.items() if values.ndim == 1},
            _slice(truth),
            _slice(prediction),
            None if half_width is None else _slice(half_width),
            names[-2:],
            float(np.linalg.norm(prediction - truth) / norm) if norm > 0 else np.nan,
            np.nan if half_width is None else float(np.mean(np.abs(prediction - truth) <= half_width)),
        )

    def heading(self, material: Material) -> str:
        label = f", {material.labels[self.row]}" if self.row < len(material.labels) else ""
        parts = [f"sample {material.sample_id[self.row]}{label}:  relative L2 {self.relative_l2:.3g}"]
        if np.isfinite(self.inside):
            parts.append(f"{100 * self.inside:.0f} % of the points inside the {_band(material)}")
        parts += [f"{material.label(name)} = {value:.4g}" for name, value in self.numbers.items()]
        return plain(",  ".join(parts))


def _slice(values: np.ndarray) -> np.ndarray:
    while values.ndim > 2:
        values = values[len(values) // 2]
    return values


def _named(material: Material, name: str) -> str:
    unit = material.unit(name)
    return plain(material.label(name) + (f" ({unit})" if unit else ""), 32)


def _axis(material: Material, name: str) -> str:
    unit = material.unit(name)
    return plain(name + (f" ({unit})" if unit else ""), 24)


def _lines(material: Material, shown: list[_Sample], theme: Theme) -> Figure:
    whole = figure(theme, WIDTH, 2.3 * len(shown))
    for part, sample in zip(whole.subfigures(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
        part.set_facecolor(theme.background)
        part.suptitle(sample.heading(material), x=0.008, ha="left", fontsize=NORMAL, color=theme.ink, weight="bold")
        _line_row(part.subplots(1, len(sample.inputs) + 2), material, sample, theme, sample is shown[-1])
    return whole


def _line_row(row: np.ndarray, material: Material, sample: _Sample, theme: Theme, last: bool) -> None:
    axis, (blue, orange) = sample.axes[-1], theme.series[:2]
    x = _positions(material, axis, sample.truth.size)
    for ax, (name, values) in zip(row, sample.inputs.items(), strict=False):
        ax.plot(_positions(material, axis, values.size), values, color=theme.ink, linewidth=1)
        ax.set_ylabel(_named(material, name))
        if _is_log(material, name, values):
            ax.set_yscale("log")
            log_axis(ax.yaxis, *_range(values))
    fields, error = row[-2:]
    fields.plot(x, sample.truth, color=theme.ink, linewidth=1.2, label="truth")
    fields.plot(x, sample.prediction, color=orange, linewidth=1.2, linestyle="--", label="prediction")
    fields.set_ylabel(_named(material, sample.output))
    error.plot(x, sample.prediction - sample.truth, color=orange, linewidth=1, label="prediction − truth")
    error.axhline(0, color=theme.muted, linewidth=0.6)
    error.set_ylabel("error")
    if sample.half_width is not None:
        width, look = sample.half_width, {"color": blue, "alpha": 0.25, "linewidth": 0, "label": _band(material)}
        fields.fill_between(x, sample.prediction - width, sample.prediction + width, **look)
        error.fill_between(x, -width, width, **look)
    for ax in row:
        dress(ax, theme)
        ax.margins(x=0)
        if last:
            ax.set_xlabel(_axis(material, axis))
    low, high = error.get_ylim()
    error.set_ylim(low, high + 0.2 * (high - low))
    legend(fields, theme, loc="best")
    legend(error, theme, loc="upper left", ncols=2)


def _images(material: Material, shown: list[_Sample], theme: Theme) -> Figure:
    rows = [_panels(material, sample) for sample in shown]
    left, gap, scale, heading, title, below = 0.55, 0.3, 0.66, 0.3, 0.24, 0.16
    width = (WIDTH - left - gap - scale * (len(rows[0]) - 1)) / len(rows[0])
    height = width * _aspect(_extent(material, shown[0]))
    top = total = len(rows) * (heading + title + height + below) + 0.34
    whole = figure(theme, WIDTH, total, layout=None)
    for sample, panels in zip(shown, rows, strict=True):
        text: dict[str, Any] = {"ha": "left", "va": "top", "fontsize": NORMAL, "color": theme.ink, "weight": "bold"}
        whole.text(0.05 / WIDTH, (top - 0.06) / total, sample.heading(material), **text)
        x, bottom = left, top - heading - title - height
        for panel in panels:
            ax = whole.add_axes((x / WIDTH, bottom / total, width / WIDTH, height / total))
            image = ax.imshow(
                panel.values, cmap=panel.colours, norm=panel.norm, origin="lower", aspect="auto",
                extent=_extent(material, sample),
            )  # fmt: skip
            ax.set_title(panel.title, pad=4)
            dress(ax, theme)
            for spine in ax.spines.values():
                spine.set_visible(True)
            ax.tick_params(labelleft=panel is panels[0], labelbottom=sample is shown[-1])
            ax.locator_params(nbins=3)
            if panel is panels[0]:
                ax.set_ylabel(_axis(material, sample.axes[0]))
            if sample is shown[-1]:
                ax.set_xlabel(_axis(material, sample.axes[1]))
            x += width + (scale if panel.scale else gap)
            if panel.scale:
                beside = (x - scale + 0.06) / WIDTH, bottom / total, 0.08 / WIDTH, height / total
                _scale(image, whole.add_axes(beside), theme)
        top = bottom - below
    return whole


@dataclass(frozen=True)
class _Panel:
    """One image; without ``scale`` the next one to the right has the same."""

    title: str
    values: np.ndarray
    colours: str
    norm: Normalize
    scale: bool = True


def _panels(material: Material, sample: _Sample) -> list[_Panel]:
    from matplotlib.colors import LogNorm, Normalize

    error = sample.prediction - sample.truth
    shared = Normalize(*_range(sample.truth, sample.prediction))
    spread = _range(np.zeros(1), np.abs(error), *([] if sample.half_width is None else [sample.half_width]))[1]
    panels = [
        _Panel(
            _named(material, name),
            values,
            "cividis",
            (LogNorm if _is_log(material, name, values) else Normalize)(*_range(values)),
        )
        for name, values in sample.inputs.items()
    ]
    panels += [
        _Panel(f"{_named(material, sample.output)}: truth", sample.truth, "viridis", shared, scale=False),
        _Panel("prediction", sample.prediction, "viridis", shared),
        _Panel("prediction − truth", error, "RdBu_r", Normalize(-spread, spread)),
    ]
    if sample.half_width is not None:
        panels.append(_Panel(f"{_band(material)}: half width", sample.half_width, "magma", Normalize(0, spread)))
    return panels


def _scale(image: AxesImage, ax: Axes, theme: Theme) -> None:
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    bar = ax.figure.colorbar(image, cax=ax)
    bar.outline.set_visible(False)
    if isinstance(image.norm, LogNorm):
        log_axis(ax.yaxis, *image.get_clim())
    else:
        number = ScalarFormatter(useMathText=True)
        number.set_powerlimits((-2, 3))
        bar.locator, bar.formatter = MaxNLocator(5), number
        bar.update_ticks()
    ax.tick_params(which="both", colors=theme.muted, labelsize=SMALL - 0.5, width=0.5, length=2, pad=2)
    ax.tick_params(which="minor", length=1)
    ax.yaxis.get_offset_text().set(color=theme.muted, fontsize=SMALL - 0.5, ha="left")


def _band(material: Material) -> str:
    return f"{100 * material.level:g} % band"


def _is_log(material: Material, name: str, values: np.ndarray) -> bool:
    return material.attrs.get(name, {}).get("transform") == "log" and bool((values > 0).all())


def _range(*fields: np.ndarray) -> tuple[float, float]:
    values = np.concatenate([field[np.isfinite(field)] for field in fields])
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    return (low, high) if high > low else (low, low + (abs(low) or 1.0))


def _positions(material: Material, axis: str, points: int) -> np.ndarray:
    """Return the coordinates along an axis, the numbers of the points where there are none that fit."""
    x = material.coordinates.get(axis, np.arange(points))
    return np.asarray(x if len(x) == points else np.arange(points), float)


def _extent(material: Material, sample: _Sample) -> tuple[float, float, float, float]:
    """Return the outer edges of the cells, (left, right, bottom, top)."""
    edges: list[float] = []
    for name, points in zip(reversed(sample.axes), reversed(sample.truth.shape), strict=True):
        x = _positions(material, name, points)
        half = (x[-1] - x[0]) / (2 * (points - 1)) if points > 1 else 0.5
        edges += [float(x[0] - half), float(x[-1] + half)]
    return edges[0], edges[1], edges[2], edges[3]


def _aspect(extent: tuple[float, float, float, float]) -> float:
    """Return height over width, true to the coordinates unless that would be a strip."""
    left, right, bottom, top = extent
    ratio = abs((top - bottom) / (right - left)) if right != left else 1.0
    return ratio if 1 / 3 <= ratio <= 3 else 1.0
