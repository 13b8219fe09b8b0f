"""The head of a report: which run it is, and the five numbers that matter most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ritz.storage.ledger import SPLITS
from ritz.tasks.documents.verdict import Verdict
from ritz.tasks.measuring.gate import not_above
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.wording import MISSING, SPACE, duration, number, percent, share

_UNKNOWN = "Not measured in this run."


def headline(recorded: Recorded) -> Mapping[str, Any]:
    """Return what the template of the page shows above the sections."""
    splits = recorded.dataset.get("splits") or {}
    verdict = Verdict.model_validate(recorded.model) if "released" in recorded.model else None
    own = recorded.own_error.get("mean")
    return {
        "run": recorded.run,
        "status": recorded.status,
        "identity": recorded.identity,
        "created": recorded.created,
        "dataset": recorded.dataset,
        "model": recorded.model,
        "splits": {name: splits[name] for name in sorted(splits, key=_split_order)},
        "release": verdict and verdict.release_by(recorded.recipe),
        "better": {} if own is None else not_above(own, recorded.baseline_means()),
        "keys": key_numbers(recorded),
    }


def _split_order(name: str) -> int:
    return SPLITS.index(name) if name in SPLITS else len(SPLITS)


def key_numbers(recorded: Recorded) -> list[tuple[str, str, str]]:
    """Return the five numbers that matter most: what, how much, and a sentence that says what it means."""
    return [row(recorded) for row in (_error, _gain, _coverage, _residual, _time)]


def _error(recorded: Recorded) -> tuple[str, str, str]:
    error, splits = recorded.own_error, recorded.dataset.get("splits") or {}
    if not error:
        return "test error", MISSING, _UNKNOWN
    over = f"{number(splits['test'])} test samples" if "test" in splits else "the test samples"
    return (
        "test error",
        number(error.get("mean")),
        f"Mean relative L2 error over {over}. Half of them are below {number(error.get('median'))}, "
        f"95\xa0% below {number(error.get('p95'))}; the worst is {number(error.get('max'))}.",
    )


def _gain(recorded: Recorded) -> tuple[str, str, str]:
    title, own, means = "against baselines", recorded.own_error.get("mean"), recorded.baseline_means()
    if not means or not own:
        return title, MISSING, _UNKNOWN
    best = min(means, key=means.__getitem__)
    others = ", ".join(f"{name} {number(mean)}" for name, mean in means.items() if name != best)
    return (
        title,
        f"{number(means[best] / own, 2)}{SPACE}×",
        f"Mean error of the best baseline, {best} ({number(means[best])}), over that of this model."
        + (f" Others: {others}." if others else ""),
    )


def _coverage(recorded: Recorded) -> tuple[str, str, str]:
    title = "coverage at 90 %"
    band = next((row for row in recorded.coverage if row["nominal"] == 0.9), None)
    if band is None:
        return title, MISSING, _UNKNOWN
    equal = band.get("constant_width_at_equal_coverage")
    return (
        title,
        percent(band.get("measured")),
        f"Share of test points inside the 90\xa0% bands. Their mean width is {number(band.get('width'))}"
        + (f"; a constant band of equal coverage needs {number(equal)}." if equal is not None else "."),
    )


def _residual(recorded: Recorded) -> tuple[str, str, str]:
    totals, samples = recorded.totals, recorded.dataset.get("samples")
    if totals.get("max_residual") is None:
        return "worst residual", MISSING, _UNKNOWN
    return (
        "worst residual",
        number(totals["max_residual"]),
        f"Largest true relative residual ‖b − Ax‖/‖b‖ of any good sample; {number(totals.get('rtol'))} was asked. "
        f"{number(totals.get('failed'))} of {number(samples)} samples failed.",
    )


def _time(recorded: Recorded) -> tuple[str, str, str]:
    times = recorded.times
    overlap = share(times.get("steps_while_solving"), times.get("steps"))
    if overlap:
        return (
            "trained while solving",
            percent(overlap, 0),
            f"Of {number(times['steps'])} training steps, so many were done while samples were still being solved. "
            f"The whole run took {duration(times.get('total'))}.",
        )
    steps = times.get("steps")
    sentence = f"Time of the whole run, with {number(steps)} training steps." if steps is not None else _UNKNOWN
    return "time", duration(times.get("total")), sentence
