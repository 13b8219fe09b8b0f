from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ritz.compute.evaluation.cost import digits, rounded
from ritz.tasks.measuring.gate import RELEASES, better_baselines, release_of


def rows(record: dict[str, Any]) -> list[dict[str, str]]:
    """Return the run in eleven lines, ``{"what": ..., "value": ...}`` each."""
    dataset, model, ledger, times = (record[key] for key in ("dataset", "model", "ledger", "times"))
    error = record["metrics"]["relative_l2"]
    band = record["coverage"].get("0.9", {})
    better = better_baselines(record["metrics"], record["baselines"])
    baselines = ", ".join(
        f"{name} {row['relative_l2']['mean']:.3f}{' (BETTER than the model)' if name in better else ''}"
        for name, row in record["baselines"].items()
    )
    solvers = ", ".join(f"{name} {count}" for name, count in ledger["solvers"].items())
    table = {
        "dataset": f"{dataset['name']}@{dataset['version']}, {dataset['samples']} samples",
        "model": f"{model['name']}@{model['version']}, {_release(record)}",
        "relative L2": f"{error['mean']:.4f} mean, {error['median']:.4f} median, "
        f"{error['p95']:.4f} 95th percentile, {error['max']:.4f} worst",
        "baselines": baselines,
        "90 % bands": _bands(band),
        "residual": f"at most {ledger['max_residual']:.1e} (asked: {ledger['rtol']:g}), {ledger['failed']} failed",
        "solver": f"{solvers}; {ledger['solved']} solved now, {ledger['reused']} from the store",
        "training": f"{times['steps']} steps, {times['steps_while_solving']} of them while solving",
        "break-even": _break_even(record.get("break_even") or {"measured": False, "reason": "not measured"}),
        "time": f"{times['total']:.0f} s, solver {ledger['seconds']:.1f} s in all",
        "run": record["run"],
    }
    return [{"what": what, "value": value} for what, value in table.items()]


def _bands(row: Mapping[str, float]) -> str:
    if not row:
        return "not measured"
    # Not every method has a band of constant width to compare with.
    beside = f" (constant width: {row['constant_width']:.3g})" if "constant_width" in row else ""
    return f"cover {row['measured']:.1%}, mean width {row['width']:.3g}{beside}"


def _release(record: Mapping[str, Any]) -> str:
    release = release_of(record["model"], record["recipe"])
    return RELEASES[release] + (": the recipe sets no gate" if release == "not judged" else "")


def _break_even(found: dict[str, Any]) -> str:
    if not found["measured"]:
        return f"not known: {found['reason']}"

    fastest = found["fastest"]
    seconds = rounded(1e3 * fastest["seconds"], digits(fastest.get("spread", 1.0)))
    return (
        f"{_after(found, 'queries', 'spread')}, in batches {_after(found, 'queries_batched', 'spread_batched')} "
        f"(the solver at matched error: {seconds:.3g} ms per sample)"
    )


def _after(found: Mapping[str, Any], name: str, spread: str) -> str:
    """Return after how many queries a model has paid for itself, with as many digits as the timings are worth."""
    count = found[name]
    return "never" if count is None else f"after {rounded(count, digits(found.get(spread, 1.0))):,} queries"
