from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.tasks.report import arrival_figures
from ritz.tasks.report.maps import samples
from ritz.tasks.report.material import Material
from ritz.tasks.report.theme import LIGHT, SMALL, Theme, dress, figure, legend, log_axis, plain, png
from ritz.tasks.report.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 32

WIDE, HALF = 10.6, 5.2
"""Widths of a figure that fills the page and of one that fills half of it, in inches."""


def draw(record: Mapping[str, Any], material: Material, theme: Theme = LIGHT) -> dict[str, bytes]:
    """Draw the figures of a run, PNG by name; what was not measured is left out.

    The names, in the order of the report: ``samples`` (``samples_2`` … for further outputs), ``training``,
    ``stream``, ``errors``, ``calibration``, ``panel``, ``ledger``.
    """
    figures = {name: samples(material, output, theme) for name, output in outputs(material).items()}
    more = {
        "training": training(record, material, theme),
        "stream": arrival_figures.draw(material.stream, theme) if material.stream is not None else None,
        "errors": errors(record, material, theme),
        "calibration": calibration(record, theme),
        "panel": panel(record, theme),
        "ledger": ledger(record, material, theme),
    }
    figures |= {name: found for name, found in more.items() if found is not None}
    return {name: png(found) for name, found in figures.items()}


def outputs(material: Material) -> dict[str, str]:
    """Return which output each figure of samples shows, by the name of the figure."""
    shown = [name for name in material.truth if name in material.prediction and len(material.truth[name])]
    return {f"samples_{position}" if position > 1 else "samples": name for position, name in enumerate(shown, 1)}


def training(record: Mapping[str, Any], material: Material, theme: Theme) -> Figure | None:
    """Draw loss and samples received against the step, and both kinds of progress against time."""
    curve, times = material.curve, record.get("times") or {}
    if not len(curve.get("step", ())):
        return None
    step, loss = curve["step"], curve["loss"]
    blue, orange, green = theme.series[:3]
    whole = figure(theme, WIDE, 3.3)
    left, right = whole.subplots(1, 2, width_ratios=(2, 1))
    left.plot(step, loss, color=blue, linewidth=0.7, alpha=0.35)
    left.plot(step, _smooth(loss, max(1, len(loss) // 40)), color=blue, linewidth=1.4, label="training loss")
    checked = np.isfinite(curve.get("validate", np.full(len(step), np.nan)))
    if checked.any():
        left.plot(
            step[checked],
            curve["validate"][checked],
            color=orange,
            marker="o",
            markersize=3,
            linewidth=1,
            label="validation error",
        )
    left.set(xlabel="training step", ylabel="loss, validation error", yscale="log", xlim=(0, step[-1]))
    dress(left, theme, grid="y")
    twin = left.twinx()
    twin.plot(step, curve["received"], color=green, linewidth=1.2, linestyle="--")
    twin.set(ylabel="training samples received", ylim=(0, 1.08 * max(1.0, float(curve["received"].max()))))
    dress(twin, theme)
    twin.spines["right"].set_visible(True)
    for artist in (twin.yaxis.label, twin.spines["right"]):
        artist.set_color(green)
    twin.tick_params(axis="y", colors=green)
    left.plot([], [], color=green, linewidth=1.2, linestyle="--", label="samples received (right)")
    overlapped = times.get("steps_while_solving") or 0
    if overlapped:
        left.axvspan(0, overlapped, color=theme.muted, alpha=0.1, linewidth=0)
        left.axvline(overlapped, color=theme.muted, linewidth=1, linestyle=":", label="last shard solved")
    _above(left, theme)
    low, high = left.get_ylim()
    log_axis(left.yaxis, low, high)

    start = curve["time"][0] - (times.get("first_step") or 0.0)
    right.plot(curve["time"] - start, step / step[-1], color=blue, linewidth=1.4, label="steps done")
    arrived = np.sort(material.arrivals)
    if len(arrived):
        share, look = np.arange(1, len(arrived) + 1) / len(arrived), {"linewidth": 1.2, "linestyle": "--"}
        right.step(arrived - start, share, where="post", color=green, label="shards received", **look)
    if times.get("last_shard") is not None:
        right.axvline(times["last_shard"], color=theme.muted, linewidth=1, linestyle=":")
    right.set(xlabel="time since the start of the run (s)", ylabel="share done", ylim=(0, 1.03))
    right.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    dress(right, theme, grid="y")
    _above(right, theme)
    return whole


def errors(record: Mapping[str, Any], material: Material, theme: Theme) -> Figure | None:
    """Draw the distribution of the error over the test samples, with the means of the baselines as lines."""
    from matplotlib.ticker import MaxNLocator

    values = _finite(material.relative_l2)
    if not values.size:
        return None
    means = {name: (row.get("relative_l2") or {}).get("mean") for name, row in (record.get("baselines") or {}).items()}
    marks = {"this model": float(values.mean())} | {k: v for k, v in means.items() if v is not None and v > 0}
    whole = figure(theme, HALF, 3.3)
    axes = whole.subplots()
    bins = _bins(values)
    axes.hist(values, bins=bins.tolist(), color=theme.series[0], alpha=0.85)
    colours = (theme.series[0], *[theme.muted] * len(means))
    for (name, mean), colour in zip(marks.items(), colours, strict=False):
        axes.axvline(mean, color=colour, linewidth=1.1, linestyle="-" if name == "this model" else "--")
        axes.annotate(
            f"{plain(name, 20)} {mean:#.3g}",
            (mean, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-3, -3),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            fontsize=SMALL,
            color=theme.ink if name == "this model" else theme.muted,
        )
    low, high = min(values.min(), *marks.values()), max(values.max(), *marks.values())
    axes.set(xlabel="relative L2 error", ylabel="test samples", xscale="log", xlim=(low / 1.3, high * 1.3))
    # Room above the bars for the names of the lines.
    axes.set_ylim(0, 1.55 * np.histogram(values, bins)[0].max())
    log_axis(axes.xaxis, low / 1.3, high * 1.3)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    dress(axes, theme)
    return whole


def calibration(record: Mapping[str, Any], theme: Theme) -> Figure | None:
    """Draw measured against nominal coverage, with the diagonal."""
    from matplotlib.ticker import MultipleLocator

    rows = sorted((record.get("coverage") or {}).values(), key=lambda row: row["nominal"])
    if not rows:
        return None
    nominal, measured = (np.array([row[key] for row in rows], float) for key in ("nominal", "measured"))
    whole = figure(theme, HALF, 3.9)
    axes = whole.subplots()
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle="--", label="nominal = measured")
    axes.plot(nominal, measured, color=theme.series[0], marker="o", markersize=5, linewidth=1.4, label="this model")
    for x, y in zip(nominal, measured, strict=True):
        axes.annotate(
            f"{100 * y:.1f} %", (x, y), xytext=(7, -8), textcoords="offset points", fontsize=SMALL, color=theme.ink
        )
    axes.set(xlabel="nominal coverage", ylabel="measured coverage", xlim=(0, 1.08), ylim=(0, 1.04))
    axes.set_box_aspect(1 / 1.2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(0.25))
        axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    dress(axes, theme, grid="both")
    legend(axes, theme, loc="upper left")
    return whole


def panel(record: Mapping[str, Any], theme: Theme) -> Figure | None:
    """Draw iterations and time per system of every way to solve the probe's systems."""
    rows = record.get("panel") or []
    if not rows:
        return None
    names = [plain(panel_name(row), 36) for row in rows]
    whole = figure(theme, HALF, 0.9 + 0.36 * len(rows))
    both = whole.subplots(1, 2, sharey=True)
    columns = (("iterations", 1.0, "iterations per system"), ("seconds", 1e3, "time per system (ms)"))
    for axes, (key, factor, label), colour in zip(both, columns, theme.series, strict=False):
        values = np.array([np.nan if row.get(key) is None else row[key] for row in rows], float) * factor
        bars = axes.barh(names, np.nan_to_num(values), color=colour, alpha=0.85, height=0.62)
        texts = ["not measured" if np.isnan(value) else f"{value:.3g}" for value in values]
        for text in axes.bar_label(bars, texts, padding=3, fontsize=SMALL):
            text.set_color(theme.ink)
        axes.set(xlabel=label, xlim=(0, 1.22 * max(float(np.nanmax(values, initial=0.0)), 1e-12)))
        axes.locator_params(axis="x", nbins=4)
        dress(axes, theme)
        axes.tick_params(axis="y", length=0, labelcolor=theme.ink)
        axes.spines["left"].set_visible(False)
    both[0].invert_yaxis()
    return whole


def panel_name(row: Mapping[str, Any]) -> str:
    """Return how a row of the panel is called, e.g. ``"recycled with carry, sorted"``."""
    return ", ".join(str(row[key]) for key in ("method", "order") if row.get(key))


def ledger(record: Mapping[str, Any], material: Material, theme: Theme) -> Figure | None:
    """Draw the distributions of residual, iterations and time over all samples, by solver."""
    columns = material.ledger
    if not len(columns.get("residual", ())):
        return None
    rtol = (record.get("ledger") or {}).get("rtol")
    solvers = np.asarray(columns["solver"]).astype(str)
    found, counts = np.unique(solvers[np.isfinite(columns["residual"])], return_counts=True)
    kinds = found[np.argsort(-counts, kind="stable")].tolist()
    whole = figure(theme, WIDE, 2.7)
    parts = (
        ("residual", 1.0, "true relative residual", True),
        ("iterations", 1.0, "iterations", False),
        ("seconds", 1e3, "solver time per sample (ms)", True),
    )
    for axes, (name, factor, label, log) in zip(whole.subplots(1, 3), parts, strict=True):
        values = np.asarray(columns[name], float) * factor
        values = np.maximum(values, 1e-17) if log else values
        groups = [_finite(values[solvers == kind]) for kind in kinds]
        if not sum(map(len, groups)):
            continue
        colours = [theme.series[position % len(theme.series)] for position in range(len(kinds))]
        every, names = np.concatenate(groups), [plain(kind, 20) for kind in kinds]
        axes.hist(groups, bins=_bins(every, log).tolist(), color=colours, stacked=True, label=names)
        axes.set(xlabel=label, ylabel="samples", xscale="log" if log else "linear")
        if not log:
            axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.get_major_locator().set_params(integer=True)
        if log:
            ends = np.append(every, rtol) if name == "residual" and rtol else every
            log_axis(axes.xaxis, ends.min(), ends.max())
        if name == "residual" and rtol:
            axes.axvline(rtol, color=theme.ink, linewidth=1, linestyle="--", label=f"asked: {number(rtol)}")
        dress(axes, theme, grid="y")
        if name == "residual":
            _above(axes, theme)
    return whole


def _finite(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, float)
    return values[np.isfinite(values)]


def _bins(values: np.ndarray, log: bool = True) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if not log:
        width = max(1.0, np.ceil((high - low + 1) / BINS))
        return np.arange(low - 0.5, high + width + 0.5, width)
    low = max(low, 1e-300) / 1.02
    high = max(high, low) * 1.02
    return np.geomspace(low, high, int(np.clip(8 * np.log10(high / low), BINS, 3 * BINS)) + 1)


def _smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of the last ``window`` values at each position, fewer at the start."""
    total = np.cumsum(np.insert(np.nan_to_num(values), 0, 0.0))
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - window, 0)
    return (total[stop] - total[start]) / (stop - start)


def _above(axes: Axes, theme: Theme) -> None:
    """Put the legend in one row above the axes, where it hides nothing."""
    legend(
        axes,
        theme,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=5,
        borderaxespad=0.2,
        handlelength=1.8,
        columnspacing=1.4,
    )
