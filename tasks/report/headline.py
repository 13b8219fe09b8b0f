"""The head of a page: what it is about, and the numbers that matter most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ritz.storage.ledger import SPLITS
from ritz.tasks.documents.verdict import Verdict
from ritz.tasks.measuring.gate import not_above
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.wording import MISSING, SPACE, duration, number, percent, share

_UNKNOWN = "Not measured in this run."

Key = tuple[str, str, str]
"""A number that matters: what it is, how much, and a sentence that says what it means."""


def headline(facts: RunFacts, keys: Sequence[str]) -> Mapping[str, Any]:
    """Return what the template of the page shows above the sections.

    Parameters
    ----------
    keys
        Which numbers: names of `KEYS`.
    """
    recorded = facts.recorded
    splits = recorded.dataset.get("splits") or {}
    verdict = Verdict.model_validate(recorded.model) if "released" in recorded.model else None
    own = recorded.own_error.get("mean")
    return {
        "run": recorded.run,
        "made": recorded.made,
        "status": recorded.status,
        "identity": recorded.identity,
        "created": recorded.created,
        "dataset": recorded.dataset,
        "model": recorded.model,
        "splits": {name: splits[name] for name in sorted(splits, key=_split_order)},
        "release": verdict and verdict.release_by(recorded.recipe),
        "better": {} if own is None else not_above(own, recorded.baseline_means()),
        "keys": [KEYS[name](facts) for name in keys],
    }


def _split_order(name: str) -> int:
    return SPLITS.index(name) if name in SPLITS else len(SPLITS)


def _error(facts: RunFacts) -> Key:
    recorded = facts.recorded
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


def _gain(facts: RunFacts) -> Key:
    recorded = facts.recorded
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


def _coverage(facts: RunFacts) -> Key:
    title = "coverage at 90 %"
    band = next((row for row in facts.recorded.coverage if row["nominal"] == 0.9), None)
    if band is None:
        return title, MISSING, _UNKNOWN
    equal = band.get("constant_width_at_equal_coverage")
    return (
        title,
        percent(band.get("measured")),
        f"Share of test points inside the 90\xa0% bands. Their mean width is {number(band.get('width'))}"
        + (f"; a constant band of equal coverage needs {number(equal)}." if equal is not None else "."),
    )


def _fields(facts: RunFacts) -> Key:
    row = facts.recorded.next_to_90
    title, whole = _at("whole fields", row), row.get("fields")
    if not whole:
        return title, MISSING, _UNKNOWN
    return (
        title,
        percent(whole["measured"]),
        f"Share of the {number(whole['of'])} test samples of which every point is inside the wider bands around whole "
        f"fields. Interval of 95\xa0%: {percent(whole['low'])} to {percent(whole['high'])}.",
    )


def _least(facts: RunFacts) -> Key:
    row = facts.recorded.next_to_90
    title, samples = _at("worst sample", row), row.get("by_sample")
    if not samples:
        return title, MISSING, _UNKNOWN
    return (
        title,
        percent(samples["least"]),
        f"Share of the points of the least covered test sample inside. In one of ten it is {percent(samples['tenth'])} "
        "or less: nothing is guaranteed for a single sample.",
    )


def _at(title: str, row: Mapping[str, Any]) -> str:
    return f"{title} at {percent(row['nominal'])}" if row else title


def _discretisation(facts: RunFacts) -> Key:
    title, errors = "error of the grid", facts.material.truth_errors
    if errors is None or not errors.discretisation.known:
        return title, MISSING, _UNKNOWN if errors is None else f"Not known: {errors.discretisation.reason}."
    return (
        title,
        number(errors.discretisation.mean),
        "Mean relative L2 distance of the truth itself to solutions on a grid twice as fine. Errors of a model below "
        "that say nothing of the PDE.",
    )


def _residual(facts: RunFacts) -> Key:
    recorded = facts.recorded
    totals, samples = recorded.totals, recorded.dataset.get("samples")
    if totals.get("max_residual") is None:
        return "worst residual", MISSING, _UNKNOWN
    return (
        "worst residual",
        number(totals["max_residual"]),
        f"Largest true relative residual ‖b − Ax‖/‖b‖ of any good sample; {number(totals.get('rtol'))} was asked. "
        f"{number(totals.get('failed'))} of {number(samples)} samples failed.",
    )


def _time(facts: RunFacts) -> Key:
    recorded = facts.recorded
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


KEYS: Mapping[str, Callable[[RunFacts], Key]] = {
    "error": _error,
    "gain": _gain,
    "coverage": _coverage,
    "fields": _fields,
    "least": _least,
    "discretisation": _discretisation,
    "residual": _residual,
    "time": _time,
}
"""The numbers that matter most, by name."""
