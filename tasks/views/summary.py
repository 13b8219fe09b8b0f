from __future__ import annotations

from ritz.compute.cluster.usage import Usage
from ritz.compute.evaluation.cost import digits, rounded
from ritz.tasks.documents.calibration import CoverageRow, at
from ritz.tasks.documents.cost import BreakEven
from ritz.tasks.documents.run import FinishedRun
from ritz.tasks.documents.verdict import RELEASES
from ritz.tasks.measuring.gate import better_baselines


def rows(record: FinishedRun) -> list[dict[str, str]]:
    """Return the run in eleven lines, ``{"what": ..., "value": ...}`` each."""
    dataset, model, ledger, times = record.dataset, record.model, record.ledger, record.times
    error = record.metrics.relative_l2
    better = better_baselines(record.metrics, record.baselines)
    baselines = ", ".join(
        f"{name} {row.relative_l2.mean:.3f}{' (BETTER than the model)' if name in better else ''}"
        for name, row in record.baselines.items()
    )
    solvers = ", ".join(f"{name} {count}" for name, count in ledger.solvers.items())
    table = {
        "dataset": f"{dataset.spec}, {dataset.samples} samples",
        "model": f"{model.spec}, {_release(record)}",
        "relative L2": f"{error.mean:.4f} mean, {error.median:.4f} median, "
        f"{error.p95:.4f} 95th percentile, {error.max:.4f} worst",
        "baselines": baselines,
        "90 % bands": _bands(at(record.coverage, 0.9)),
        "residual": f"at most {ledger.max_residual:.1e} (asked: {ledger.rtol:g}), {ledger.failed} failed",
        "solver": f"{solvers}; {ledger.solved} solved now, {ledger.reused} from the store",
        "training": f"{times.steps} steps, {times.steps_while_solving} of them while solving",
        "break-even": _break_even(record.break_even or BreakEven(measured=False, reason="not measured")),
        "time": f"{times.total:.0f} s, solver {ledger.seconds:.1f} s in all{_usage(record.usage)}",
        "run": record.run,
    }
    return [{"what": what, "value": value} for what, value in table.items()]


def _usage(usage: Usage | None) -> str:
    if usage is None or usage.efficiency is None:
        return ""
    return f"; {usage.core_hours:.3g} core-hours, {usage.efficiency:.0%} of them computing"


def _bands(row: CoverageRow | None) -> str:
    if row is None:
        return "not measured"
    # Not every method has a band of constant width to compare with.
    constant = row.entries().get("constant_width")
    beside = "" if constant is None else f" (constant width: {constant:.3g})"
    whole = "" if row.fields is None else f"; around whole fields {row.fields.text()}"
    return f"cover {row.text()} of the points, mean width {row.width:.3g}{beside}{whole}"


def _release(record: FinishedRun) -> str:
    release = record.model.release_by(record.recipe)
    return RELEASES[release] + (": the recipe sets no gate" if release == "not judged" else "")


def _break_even(found: BreakEven) -> str:
    if not found.measured or found.fastest is None:
        return f"not known: {found.reason}"
    seconds = rounded(1e3 * found.fastest.seconds, digits(found.fastest.spread))
    return (
        f"{_after(found.queries, found.spread)}, in batches {_after(found.queries_batched, found.spread_batched)} "
        f"(the solver at matched error: {seconds:.3g} ms per sample)"
    )


def _after(count: int | None, spread: float) -> str:
    """Return after how many queries a model has paid for itself, with as many digits as the timings are worth."""
    return "never" if count is None else f"after {rounded(count, digits(spread)):,} queries"
