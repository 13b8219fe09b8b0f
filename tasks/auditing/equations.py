from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime

import numpy as np

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.stream import stream
from ritz.compute.evaluation.agreement import Agreement, all_scores, standing_out, verdict
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Problem
from ritz.storage.errors import StorageError
from ritz.storage.store import Store
from ritz.tasks.auditing.claimed import Claim
from ritz.tasks.auditing.equations_record import Distribution, EquationAudit, Outlier
from ritz.tasks.auditing.equations_worker import Some, judge
from ritz.tasks.driver.progress import Reporter
from ritz.tasks.stage import stage

log = logging.getLogger("ritz")

BLOCK_VALUES = 2**20
"""Values of all fields whose equations are looked at together."""

COARSE = 8
"""Samples that are solved on a grid twice as coarse."""

NAMED = 50
"""Samples at most that a record names."""


@stage("audit by equations")
def audit_as(store_url: str, cluster: Cluster, claim: Claim) -> EquationAudit:
    """Measure whether samples of a version solve a problem, and name those that stand out; one solve a sample.

    Returns
    -------
    EquationAudit
        It is also kept in the store as ``audits/NAME/VERSION-as-KIND-TIME.json``.
    """
    start, store, problem = time.monotonic(), Store(store_url), claim.problem
    name, version = claim.version.name, claim.version.version
    values = sum(field.size for field in problem.template(1).data_vars.values())
    each = max(1, min(BLOCK_VALUES // values, len(claim.ids) // (2 * max(1, cluster.workers("solve")))))
    blocks = [
        Some(store_url, name, version, claim.ids[at : at + each], problem, claim.rtol, 0 if at else COARSE)
        for at in range(0, len(claim.ids), each)
    ]
    report, parts, done = Reporter("audit", len(claim.ids), name), dict[int, Agreement](), 0
    for one in stream(cluster, judge, blocks, window=cluster.window("solve"), role="solve"):
        parts[int(one.item.ids[0])] = one.receipt
        done += len(one.item.ids)
        report(done)
    columns = zip(*(parts[int(block.ids[0])] for block in blocks), strict=True)
    found = Agreement(*(np.concatenate(column) for column in columns))
    record = _record(claim, found, time.monotonic() - start)
    log.info("audit: %s", record.sentence)
    return record.changed(record=_kept(store, record))


def _record(claim: Claim, found: Agreement, seconds: float) -> EquationAudit:
    problem, spacing = claim.problem, _spacing(claim.problem)
    said, grid = verdict(found, spacing)
    known = not np.isnan(found.error).all()
    scores = all_scores(found)
    rows = np.flatnonzero(standing_out(found))
    rows = rows[np.argsort(-np.max(list(scores.values()), axis=0)[rows], kind="stable")]
    outliers = tuple(
        Outlier(
            sample=int(claim.ids[row]),
            residual=_number(found.residual[row]),
            error=_number(found.error[row]),
            scores={name: _number(values[row]) for name, values in scores.items()},
        )
        for row in rows[:NAMED]
    )
    error = _distribution(found.error) if known else None
    source = (
        f"{len(found.grid)} samples solved on a grid twice as coarse" if len(found.grid) else "spacing of the points"
    )
    return EquationAudit(
        dataset=claim.version.name,
        version=claim.version.version,
        snapshot=claim.version.snapshot,
        problem=problem.model_dump(mode="json"),
        samples=len(claim.ids),
        of=claim.good,
        residual=_distribution(found.residual),
        error=error,
        no_error=problem.uncorrectable(),
        verdict=said,
        grid=_number(grid),
        grid_from=source,
        outliers=outliers,
        sentence=sentence(said, problem, error, grid, source, [one.sample for one in outliers], len(rows)),
        remarks=claim.remarks,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=seconds,
    )


def sentence(
    said: str, problem: Problem, error: Distribution | None, grid: float, source: str, outliers: list[int], count: int
) -> str:
    """Return the verdict in words, the samples that stand out among them."""
    typical = "" if error is None or error.median is None else f": the median error is {error.median:.2g}"
    of_grid = f"that of this grid {grid:.2g} ({source})"
    first = {
        "same": f"the samples solve the discrete equations of {problem.kind!r}{typical}",
        "discretisation": f"the samples solve {problem.kind!r} in another discretisation{typical}, {of_grid}",
        "other": f"the samples do not solve {problem.kind!r}{typical}, {of_grid}; its fields, units or boundary "
        "conditions may be others",
    }[said]
    if not outliers:
        return f"{first}; no sample stands out"
    more = f" and {count - 8} more" if count > 8 else ""
    return f"{first}; wrong samples, which stand out: {', '.join(map(str, outliers[:8]))}{more}"


def _spacing(problem: Problem) -> float:
    dimensions = Dimensions.of(problem.template(1))
    return 1.0 / max(dimensions.shape) ** (1 / (2 if dimensions.mesh else 1))


def _distribution(values: np.ndarray) -> Distribution:
    known = values[np.isfinite(values)]
    if not len(known):
        return Distribution(median=None, p95=None, max=None)
    return Distribution(
        median=_number(np.median(known)), p95=_number(np.quantile(known, 0.95)), max=_number(known.max())
    )


def _number(value: float) -> float | None:
    return float(f"{value:.3g}") if np.isfinite(value) else None


def _kept(store: Store, record: EquationAudit) -> str | None:
    key = (
        f"audits/{record.dataset}/{record.version}-as-{record.problem['kind']}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.json"
    )
    try:
        store.write(key, json.dumps(record.changed(record=key).document(), indent=1).encode())
    except StorageError as error:
        log.warning("the record of the audit could not be saved: %s", error)
        return None
    return key
