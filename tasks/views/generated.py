"""What a generation came to, in a table."""

from __future__ import annotations

import json

from ritz.tasks.generation.result import Generated


def rows(found: Generated) -> list[dict[str, str]]:
    """Return what the dataset holds and what was done for it, a row each."""
    dataset, ledger = found.dataset, found.ledger
    splits = ", ".join(f"{count} {split}" for split, count in dataset.splits.items() if count)
    worst = "-" if ledger.max_residual is None else f"at most {ledger.max_residual:.1e}"
    table = {
        "samples": f"{dataset.samples:,} ({splits})",
        "solved": f"{ledger.solved:,} now, {ledger.reused:,} found; {ledger.failed:,} failed",
        "solver": ", ".join(f"{name} {count:,}" for name, count in ledger.solvers.items()) or "-",
        "residual": f"{worst} (asked: {ledger.rtol:g})",
        "solver time": f"{ledger.seconds:.1f} s",
    }
    if ledger.rounding_bound is not None:
        table["rounding"] = f"adds at most {ledger.rounding_bound:.1e} to a residual of what is stored"
    if found.tuning is not None:
        best = found.tuning.arms[found.tuning.best]
        table["tuning"] = (
            f"{100 * found.tuning.regret:+.1f} % work to the best of {len(found.tuning.arms)} settings in hindsight, "
            f"{json.dumps(best.solver)}"
        )
    if found.solving is not None:
        busy = f"{100 * found.solving.busy:.0f} % of the time in tasks, {found.solving.workers} workers"
        table["workers"] = busy
    return [{"dataset": name, "": value} for name, value in table.items()]
