from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import xarray as xr

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.stream import stream
from ritz.compute.problems.problem import Problem
from ritz.storage.errors import Refused, StorageError
from ritz.storage.integrity import history
from ritz.storage.integrity.located import Located, locate
from ritz.storage.integrity.scan import Fault, Scan
from ritz.storage.ledger import SPLITS
from ritz.storage.names import dataset_key
from ritz.storage.store import Store
from ritz.tasks.auditing import worker
from ritz.tasks.auditing.audit_record import AuditRecord, Check, MadeAgain
from ritz.tasks.auditing.findings import CHECKS, SOLVED, Finding, Outcome, Outcomes, join
from ritz.tasks.auditing.regenerate_worker import Sample, Source, regenerate
from ritz.tasks.auditing.version import maker, opened, source
from ritz.tasks.driver.progress import Reporter
from ritz.tasks.pipeline import Data
from ritz.tasks.stage import stage

log = logging.getLogger("ritz")

SHARE = 0.01
"""Of the ok samples so many are solved again, and at least `LEAST`."""

LEAST = 2

BLOCK_BYTES = 2**26
"""Shards are given to a worker together up to this size, so that small ones do not wait for the scheduler."""


@stage("audit")
def audit(store_url: str, cluster: Cluster, dataset: str) -> AuditRecord:
    """Look for anything in a version of a dataset that is not as it must be; see `CHECKS`.

    Parameters
    ----------
    dataset
        ``NAME@VERSION``.

    Returns
    -------
    AuditRecord
        It is also kept in the store as ``audits/NAME/VERSION-TIME.json``.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such dataset or version.
    ritz.storage.errors.Refused
        If its problem cannot be loaded.
    """
    start, store = time.monotonic(), Store(store_url)
    located = locate(store, dataset)
    found: dict[str, Outcome] = {}
    about = _About()
    scan, damage = opened(store, located)
    found["objects"] = Outcome.of(damage, located.checked)
    found["history"] = _history(store, located, damage)
    if scan is not None:
        try:
            made = maker(located, scan)
        except Refused as error:
            if not damage:
                raise
            found["objects"] = Outcome.of([*damage, Finding("objects", str(error))], located.checked)
        else:
            more, about = _looked_through(store, located, scan, made, cluster)
            found |= more
    outcomes = join([found])
    record = AuditRecord(
        dataset=located.name,
        version=located.version,
        snapshot=located.snapshot,
        clean=not any(outcome.bad for outcome in outcomes.values()),
        checks={
            check: Check(
                checked=outcome.checked,
                bad=outcome.bad,
                worst=outcome.worst and outcome.worst.written(),
                expected=CHECKS[check],
            )
            for check, outcome in outcomes.items()
        },
        findings=tuple(one.row() for outcome in outcomes.values() for one in outcome.findings),
        not_done=tuple(check for check in CHECKS if check not in outcomes and check not in about.left_out),
        samples=about.samples,
        solved_again=about.solved_again,
        bytes=about.bytes,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.monotonic() - start,
    )
    log.info("audit: %s", "clean" if record.clean else f"{len(record.findings)} findings")
    return record.changed(record=_kept(store, record))


@dataclass(frozen=True)
class _About:
    """What was looked at: the samples that are stored, those that were solved again, the bytes read.

    Attributes
    ----------
    left_out
        Checks that there are not for data that were solved elsewhere.
    """

    samples: int | None = None
    solved_again: tuple[int, ...] = ()
    bytes: int = 0
    left_out: tuple[str, ...] = ()


def _history(store: Store, located: Located, damage: list[Finding]) -> Outcome:
    """Look at all states of the dataset; what is named as damage of the version is not named again."""
    found = history.check(store, dataset_key(located.name))
    if found.without:
        log.info(
            "audit: %d of %d files of the history have no digest and were looked at as far as they can be read; "
            "publishing the next version, or `ritz gc --delete`, writes them",
            found.without,
            found.checked,
        )
    named = {one.object for one in damage}
    findings = [Finding("history", one.what, object=one.object) for one in found.damage if one.object not in named]
    return Outcome.of(findings, found.checked)


def _looked_through(
    store: Store, located: Located, scan: Scan, made: tuple[Problem, Data], cluster: Cluster
) -> tuple[dict[str, Outcome], _About]:
    problem, data = made
    of = source(store, located, scan, made)
    ids, id_faults, id_chunks = scan.whole("sample_id")
    splits, split_faults, split_chunks = scan.whole("split")
    known, split = np.ones(len(ids), bool), splits.astype(np.int64)
    for fault in id_faults:
        known[list(fault.rows)] = False
    for fault in split_faults:
        split[list(fault.rows)] = -1
    parts: list[Outcomes] = [
        {"checksums": Outcome.of(map(_fault, [*id_faults, *split_faults]), id_chunks + split_chunks)},
        {"ids": _ids(ids, known)},
        _coordinates(scan, problem),
    ]
    # No id is negative, and none can be drawn.
    known &= ids >= 0
    names = data.splits.of(ids)
    expected = np.select([names == name for name in SPLITS], list(range(len(SPLITS))))
    report = Reporter("audit", scan.samples, located.name)
    samples, looked_at, findings = 0, 0, 0
    ok: list[np.ndarray] = []
    blocks = _blocks(of, scan, ids, known, expected, split, cluster.workers("solve"))
    for done in stream(cluster, worker.audit, blocks, window=cluster.window("solve"), role="solve"):
        receipt: worker.Report = done.receipt
        samples += receipt.samples
        parts.append(receipt.outcomes)
        ok.append(receipt.ok)
        looked_at += len(done.item.ids)
        findings += sum(len(outcome.findings) for outcome in receipt.outcomes.values())
        report(looked_at, f"{findings} findings" if findings else "")
    if scan.stated not in (None, samples):
        what = f"chunks of {samples} samples are stored; it was published with {scan.stated}"
        parts.append({"checksums": Outcome.of([Finding("checksums", what)], 0)})
    if problem.unsolvable():
        return join(parts), _About(samples, bytes=samples * scan.sample_bytes, left_out=SOLVED)
    chosen = _chosen(np.concatenate(ok) if ok else np.empty(0, np.int64), data.seed)
    parts.append({"again": _again(cluster, of, located, ids, chosen)})
    about = _About(samples, tuple(chosen.tolist()), samples * scan.sample_bytes)
    return join(parts), about


def _blocks(
    of: Source, scan: Scan, ids: np.ndarray, known: np.ndarray, expected: np.ndarray, split: np.ndarray, workers: int
) -> Iterator[worker.Block]:
    size = max(1, scan.sample_bytes * scan.shard)
    # Four rounds at least, so that no worker waits long for the last.
    together = max(1, min(BLOCK_BYTES // size, scan.n_shards // (4 * max(1, workers))))
    for first in range(0, scan.n_shards, together):
        rows = slice(first * scan.shard, (first + together) * scan.shard)
        yield worker.Block(of, first, ids[rows], known[rows], expected[rows], split[rows])


def _ids(ids: np.ndarray, known: np.ndarray) -> Outcome:
    values, counts = np.unique(ids[known], return_counts=True)
    twice = values[counts > 1]
    findings = [Finding("ids", f"{len(twice)} ids belong to several samples", "sample_id", None, tuple(twice.tolist()))]
    negative = values[values < 0]
    below = [Finding("ids", "negative", "sample_id", None, tuple(negative.tolist()))]
    return Outcome.of((findings if len(twice) else []) + (below if len(negative) else []), int(known.sum()))


def _coordinates(scan: Scan, problem: Problem) -> dict[str, Outcome]:
    """Compare the coordinates of space and time with those of the problem, bit for bit."""
    wanted = problem.template(1).coords.to_dataset().drop_dims("sample", errors="ignore")
    stored, faults, different, chunks = scan.coordinates(), [], [], 0
    for name in sorted({*stored, *map(str, wanted.coords)}):
        if name not in stored or name not in wanted.coords:
            different.append(Finding("coordinates", "missing" if name in wanted.coords else "unknown", name))
            continue
        values, unreadable, count = scan.whole(name)
        faults += unreadable
        chunks += count
        if not unreadable and not _equal(stored[name], values, wanted[name]):
            what = "other values than the problem's"
            different.append(Finding("coordinates", what, name, object=scan.lies_in(name)))
    return {
        "checksums": Outcome.of(map(_fault, faults), chunks),
        "coordinates": Outcome.of(different, len(stored)),
    }


def _equal(dims: tuple[str, ...], values: np.ndarray, wanted: xr.DataArray) -> bool:
    return dims == wanted.dims and values.dtype == wanted.dtype and np.array_equal(values, wanted.values)


def _fault(fault: Fault) -> Finding:
    return Finding("checksums", fault.what, fault.variable, object=fault.object)


def _chosen(ok: np.ndarray, seed: int) -> np.ndarray:
    """Return the ids of the samples to be solved again; the same ones in every audit."""
    count = min(len(ok), max(LEAST, int(np.ceil(SHARE * len(ok)))))
    return np.sort(np.random.default_rng([seed, len(ok)]).choice(np.sort(ok), count, replace=False))


def _again(cluster: Cluster, of: Source, located: Located, ids: np.ndarray, chosen: np.ndarray) -> Outcome:
    report = Reporter("solve again", len(chosen), located.name)
    order = np.argsort(ids, kind="stable")
    positions = order[np.searchsorted(ids, chosen, sorter=order)]
    items = [Sample(of, int(one), int(position)) for one, position in zip(chosen, positions, strict=True)]
    outcomes: list[Outcomes] = []
    for done in stream(cluster, regenerate, items, window=cluster.window("solve"), role="solve"):
        outcomes.append({"again": compared(done.receipt)})
        report(len(outcomes))
    return join([{"again": Outcome()}, *outcomes])["again"]


def compared(found: MadeAgain) -> Outcome:
    """Return what solving a sample again says of its outputs, as the outcome of a check."""
    sample = np.array([found.sample])
    if not found.outputs and found.status.stored == "ok" and "status" not in found.unreadable:
        what = f"ok in the dataset, {found.status.again} when it is solved again"
        gone = [Finding("again", what, None, found.shard, (found.sample,))]
        return Outcome.of([] if found.status.again == "ok" else gone, 1)
    parts: list[Outcomes] = []
    for name, one in found.outputs.items():
        value, bound = (np.array([np.nan if each is None else each]) for each in (one.difference, one.bound))
        parts.append({"again": Outcome.bounded("again", found.shard, sample, value, np.nan_to_num(bound), name)})
    return join(parts).get("again", Outcome(1))


def _kept(store: Store, record: AuditRecord) -> str | None:
    """Keep the record in the store; return where, None where nothing can be written."""
    now = datetime.now(UTC)
    key = f"audits/{record.dataset}/{record.version}-{now:%Y%m%dT%H%M%S%f}.json"
    try:
        store.write(key, json.dumps(record.changed(record=key).document(), indent=1).encode())
    except StorageError as error:
        log.warning("the record of the audit could not be saved: %s", error)
        return None
    return key
