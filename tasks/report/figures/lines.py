from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ritz.tasks.report.figures.shown import Drawn, Shown, axis_name, band, is_log, named, positions, span
from ritz.tasks.report.figures.theme import (
    BACKGROUND,
    INK,
    MUTED,
    NORMAL,
    SERIES,
    dress,
    figure,
    legend,
    log_axis,
    plain,
)
from ritz.tasks.report.material import Material

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def lines(material: Material, shown: list[Shown], width: float) -> Figure:
    """Draw samples in one dimension: inputs, truth with prediction and band, error with band, a row a sample."""
    whole = figure(width, 2.3 * len(shown), layout="constrained")
    for part, sample in zip(whole.subfigures(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
        part.set_facecolor(BACKGROUND)
        part.suptitle(sample.heading(material), x=0.008, ha="left", fontsize=NORMAL, color=INK, weight="bold")
        groups = grouped(material, sample)
        panels = part.subplots(1, len(groups) + 1 + sample.predicted, squeeze=False)[0]
        _row(panels, material, sample, groups, sample is shown[-1])
    return whole


def grouped(material: Material, sample: Shown) -> list[dict[str, Drawn]]:
    """Return the inputs that are lines, those of one unit and scale together: along space, or along what is not."""
    groups: dict[tuple[object, ...], dict[str, Drawn]] = {}
    for name, drawn in sample.inputs.items():
        if drawn.values.ndim == 1:
            key = (material.unit(name), is_log(material, name, drawn.values), material.is_space(drawn.dims[0]))
            groups.setdefault(key, {})[name] = drawn
    return list(groups.values())


def group_name(material: Material, group: dict[str, Drawn]) -> str:
    """Return what a panel of lines is called: the variable, or all symbols with their common unit."""
    first = next(iter(group))
    if len(group) == 1:
        return named(material, first)
    unit = material.unit(first)
    return plain(", ".join(group) + (f" ({unit})" if unit else ""), 32)


def draw_group(ax: Axes, material: Material, group: dict[str, Drawn]) -> None:
    """Draw the lines of some inputs over their dimensions."""
    colours = (INK, *SERIES)
    for position, (name, drawn) in enumerate(group.items()):
        x = positions(material, drawn.dims[0], drawn.values.size)
        marker = "" if material.is_space(drawn.dims[0]) else "o"
        colour = colours[position % len(colours)]
        ax.plot(x, drawn.values, color=colour, linewidth=1, label=plain(name, 16), marker=marker, markersize=2.5)
    ax.margins(x=0)
    if is_log(material, next(iter(group)), next(iter(group.values())).values):
        ax.set_yscale("log")
        log_axis(ax.yaxis, *span(*(drawn.values for drawn in group.values())))
    if len(group) > 1:
        # Room above the lines for their names, two in a row.
        low, high = ax.get_ylim()
        rows = -(-len(group) // 2)
        ax.set_ylim(low, high + (0.17 * rows * (high - low) if ax.get_yscale() == "linear" else 0))
        legend(ax, loc="upper left", ncols=2, handlelength=0.8, columnspacing=0.7, borderaxespad=0.2)


def _row(row: np.ndarray, material: Material, sample: Shown, groups: list[dict[str, Drawn]], last: bool) -> None:
    dim, (blue, orange) = sample.dims[-1], SERIES[:2]
    x = positions(material, dim, sample.truth.size)
    for ax, group in zip(row, groups, strict=False):
        draw_group(ax, material, group)
        ax.set_ylabel(group_name(material, group))
    fields, error = row[len(groups)], row[-1]
    fields.plot(x, sample.truth, color=INK, linewidth=1.2, label="truth")
    fields.set_ylabel(named(material, sample.output))
    if sample.predicted:
        fields.plot(x, sample.prediction, color=orange, linewidth=1.2, linestyle="--", label="prediction")
        error.plot(x, sample.prediction - sample.truth, color=orange, linewidth=1, label="prediction − truth")
        error.axhline(0, color=MUTED, linewidth=0.6)
        error.set_ylabel("error")
    if sample.half_width is not None:
        width, look = sample.half_width, {"color": blue, "alpha": 0.25, "linewidth": 0, "label": band(material)}
        fields.fill_between(x, sample.centre - width, sample.centre + width, **look)
        off = sample.prediction - sample.centre
        error.fill_between(x, off - width, off + width, **look)
    below = [next(iter(group.values())).dims[0] for group in groups] + [dim] * (len(row) - len(groups))
    for ax, along in zip(row, below, strict=True):
        dress(ax)
        ax.margins(x=0)
        if last:
            ax.set_xlabel(axis_name(material, along))
    if sample.predicted:
        low, high = error.get_ylim()
        error.set_ylim(low, high + 0.2 * (high - low))
        legend(fields, loc="best")
        legend(error, loc="upper left", ncols=2)
