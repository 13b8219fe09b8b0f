from __future__ import annotations

import shlex
import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.tasks.comparison.comparison_record import ComparisonRecord
from ritz.tasks.comparison.gains import WORDS, rows, sentences
from ritz.tasks.report.page import template, uri
from ritz.tasks.report.theme import DARK, LIGHT, SMALL, Theme, dress, figure, legend, log_axis, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {
    "offline": "offline",
    "equal_steps": "online, equal steps",
    "equal_solves": "online, equal solves",
    "equal_time": "online, equal wall time",
}

AXES = {
    "steps": "gradient steps",
    "solves": "training simulations solved",
    "seconds": "wall time (s), modelled",
}


def shown(record: Mapping[str, Any]) -> tuple[dict[str, bytes], bytes]:
    """Return the pictures of a comparison on a white background, PNG by name, and its page."""
    light = draw(record, LIGHT)
    return light, render(record, light)


def draw(record: Mapping[str, Any], theme: Theme) -> dict[str, bytes]:
    """Draw ``curves``, the validation error of all seeds, and ``gains``, the test errors of the pairs."""
    return {"curves": png(curves(record, theme)), "gains": png(gains(record, theme))}


def render(record: Mapping[str, Any], light: Mapping[str, bytes] | None = None) -> bytes:
    """Return the page of a comparison: one HTML file with everything in it, UTF-8, without scripts."""
    bright, dark = light or draw(record, LIGHT), draw(record, DARK)
    view = {
        **record,
        "pictures": {name: (uri(bright[name]), uri(dark[name])) for name in bright},
        "rows": rows(ComparisonRecord.model_validate(record)),
        "sentences": sentences(ComparisonRecord.model_validate(record)),
        "per_seed": [
            [record["arms"][name]["seeds"][place]["test"]["mean"] for name in NAMES]
            for place in range(len(record["seeds"]))
        ],
        "names": list(NAMES.values()),
        "same_weights": all(one["same_first_weights"] for one in record["gains"].values()),
        "command_line": shlex.join(record["command"]),
        "words": WORDS,
        "published_text": ", ".join(f"{value:+.0%} ({name.replace('_', ' ')})" for name, value in _published(record)),
    }
    return template("comparison.html.jinja").render(view).encode()


def _published(record: Mapping[str, Any]) -> list[tuple[str, float]]:
    return list(record["published"].items())


def along(record: Mapping[str, Any], arm: str, result: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return where the points of a curve lie on each of `AXES`, and ``error``, all ``(n,)``.

    The seconds are a model: offline has all simulations before its first step; online has begun when the watermark is
    reached, and a step waits for the samples it was done with. Solvers and trainer do not slow each other.
    """
    clock = record["clock"]
    steps, received, error = (
        np.array([row[name] for row in result["curve"]], float) for name in ("step", "received", "validate")
    )
    if arm == "offline":
        seconds = record["samples"] * clock["simulation"] + steps * clock["step"]
    else:
        solved = received * clock["simulation"] + clock["step"]
        seconds = np.maximum(clock["begin"] + steps * clock["step"], solved)
    return {"steps": steps, "solves": received, "seconds": seconds, "error": error}


def curves(record: Mapping[str, Any], theme: Theme) -> Figure:
    """Draw the validation error against steps, solves and seconds: a thin line a seed, their median thick."""
    whole = figure(theme, 10.6, 3.7)
    panels: list[Axes] = list(whole.subplots(1, len(AXES), sharey=True))
    every: list[np.ndarray] = []
    for (arm, name), colour in zip(NAMES.items(), theme.series, strict=False):
        lines = [along(record, arm, result) for result in record["arms"][arm]["seeds"]]
        every += [line["error"] for line in lines]
        for axis, panel in zip(AXES, panels, strict=True):
            for line in lines:
                panel.plot(line[axis], line["error"], color=colour, linewidth=0.6, alpha=0.35)
            x, y = (_median([line[what] for line in lines]) for what in (axis, "error"))
            panel.plot(x, y, color=colour, linewidth=2.0, label=name)
            panel.plot(x[-1:], y[-1:], color=colour, marker="o", markersize=4)
    low, high = min(map(np.min, every)) / 1.15, max(map(np.max, every)) * 1.15
    for axis, panel in zip(AXES, panels, strict=True):
        panel.set(xlabel=AXES[axis], yscale="log", ylim=(low, high))
        panel.set_xlim(left=0)
        log_axis(panel.yaxis, low, high)
        dress(panel, theme, grid="y")
    panels[0].set_ylabel("validation error (relative L2)")
    handles, labels = panels[0].get_legend_handles_labels()
    whole.legend(
        handles, labels, loc="outside upper left", ncols=4, frameon=False, fontsize=SMALL, labelcolor=theme.ink
    )
    return whole


def _median(values: list[np.ndarray]) -> np.ndarray:
    """Return the median over the seeds of the points that all of them have, one by one."""
    length = min(map(len, values))
    return np.asarray(np.median([one[:length] for one in values], axis=0))


def gains(record: Mapping[str, Any], theme: Theme) -> Figure:
    """Draw the test error of every seed in every arm, and the gain of each online arm with its interval."""
    whole = figure(theme, 10.6, 3.4)
    left, right = whole.subplots(1, 2, width_ratios=(3, 2))
    errors = np.array([[one["test"]["mean"] for one in record["arms"][arm]["seeds"]] for arm in NAMES])
    places = np.arange(len(NAMES))
    left.plot(places, errors, color=theme.muted, linewidth=0.6, alpha=0.6)
    for place, colour in zip(places, theme.series, strict=True):
        left.plot(np.full(errors.shape[1], place), errors[place], "o", color=colour, markersize=4, alpha=0.8)
        middle = statistics.median(errors[place].tolist())
        left.plot([place - 0.2, place + 0.2], [middle, middle], color=colour, linewidth=2.0)
    low, high = errors.min() / 1.1, errors.max() * 1.1
    left.set(ylabel="test error (relative L2)", yscale="log", ylim=(low, high), xlim=(-0.4, len(NAMES) - 0.6))
    left.set_xticks(places, [name.replace("online, ", "online,\n") for name in NAMES.values()])
    log_axis(left.yaxis, low, high)
    dress(left, theme, grid="y")

    found = record["gains"]
    for row, (arm, colour) in enumerate(zip(found, theme.series[1:], strict=True)):
        one, height = found[arm], -row
        right.plot([100 * one["low"], 100 * one["high"]], [height, height], color=colour, linewidth=2.0)
        right.plot([100 * one["mean"]], [height], "o", color=colour, markersize=6)
        shares = 100 * (1 - np.exp(np.array(one["log_ratios"])))
        right.plot(shares, np.full(len(shares), height - 0.22), "|", color=colour, markersize=7, alpha=0.7)
    published = record["published"].get(record["recipe"]["surrogate"]["kind"])
    if published is not None:
        right.axvline(100 * published, color=theme.ink, linewidth=1, linestyle=":", label="published, fresh data")
        legend(right, theme, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    right.axvline(0, color=theme.muted, linewidth=1)
    right.set(xlabel="test error saved against offline (%)", ylim=(0.5 - len(found), 0.5))
    right.set_yticks([-row for row in range(len(found))], [NAMES[arm].removeprefix("online, ") for arm in found])
    dress(right, theme, grid="x")
    return whole
