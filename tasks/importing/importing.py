from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence

import numpy as np

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.stream import groups as streamed
from ritz.compute.cluster.stream import stream
from ritz.compute.problems.external import External
from ritz.storage.committer import Committer
from ritz.storage.importing.fingerprint import Stamp
from ritz.storage.ledger import IMPORTED
from ritz.storage.store import Store
from ritz.storage.versions import Version
from ritz.tasks.driver.progress import Reporter
from ritz.tasks.generation.described import described
from ritz.tasks.generation.room import check_room
from ritz.tasks.importing import worker
from ritz.tasks.importing.files import added, joined, shard_of
from ritz.tasks.importing.first import external, resolved_first
from ritz.tasks.importing.imported import NAMES, Imported
from ritz.tasks.importing.manifest import Item, Manifest, digests, keep, key
from ritz.tasks.importing.plan import Plan, fixed
from ritz.tasks.importing.resolving import Resolved
from ritz.tasks.importing.result import ImportedDataset, describe, published
from ritz.tasks.parsing.identity import document_hash
from ritz.tasks.pipeline import Data, Pipeline
from ritz.tasks.stage import stage

log = logging.getLogger("ritz")

TOGETHER = 256
"""Items at most that a worker looks at in one task."""

COMMIT_EVERY = 1.0
"""Seconds from one commit to the next."""


@stage("import")
def import_files(plan: Plan, store_url: str, cluster: Cluster) -> ImportedDataset:
    """Read, store and publish the samples of files that the store does not have yet.

    Workers read the files, which they find at the paths of this machine. The list of files is written before the
    dataset is made or grown, so that an import that was killed goes on where it was.

    Raises
    ------
    ritz.storage.errors.Refused
        If a file is not as the first one or has changed, the samples fill no whole number of shards, or the disk has no
        room for them.
    ritz.storage.errors.Busy
        If another process works on the dataset.
    """
    start, store, mapping = time.monotonic(), Store(store_url), plan.mapping
    store.check_writable()
    first = resolved_first(plan)
    seen = _look(plan, first, cluster)
    new = added(plan, seen)
    manifest, problem = _manifest(plan, first, new)
    pipeline = _pipeline(plan, manifest, problem)
    check_room(pipeline, store_url, {}, trains=False)
    if new:
        keep(store, mapping.name, manifest)
    ids = np.arange(manifest.samples)
    description = described(pipeline, ids) | {"solvers": (IMPORTED,)}
    dataset = Committer.ensure(store, mapping.name, **description)
    with dataset.lock():
        if dataset.samples < manifest.samples:
            later = ids[dataset.samples :]
            dataset.grow(later, pipeline.data.splits.of(later), pipeline.document())
        imported = _write(plan, first, manifest, dataset, cluster)
        version = published(dataset, manifest.samples) or _publish(dataset, manifest)
        return describe(dataset, version, manifest, imported, start)


def _look(plan: Plan, first: Resolved, cluster: Cluster) -> list[worker.Seen]:
    """Look at all files on the workers, in blocks of which every worker has several."""
    each = max(1, min(TOGETHER, len(plan.items) // (4 * max(1, cluster.workers("solve")))))
    blocks = [worker.Look(at, plan.items[at : at + each], first.readings) for at in range(0, len(plan.items), each)]
    report, parts, done = Reporter("look at files", len(plan.items), plan.mapping.name), {}, 0
    for one in stream(cluster, worker.look, blocks, window=cluster.window("solve"), role="solve"):
        parts[one.item.start] = one.receipt
        done += len(one.receipt)
        report(done)
    return [seen for at in sorted(parts) for seen in parts[at]]


def _manifest(plan: Plan, first: Resolved, new: tuple[Item, ...]) -> tuple[Manifest, External]:
    """Return the list of all files with the new ones, and the problem of the dataset."""
    mapping, before = fixed(plan.mapping), plan.manifest
    items = joined(before, new)
    # Splits say what samples are for, not what they are: the same samples in other splits are found by their origin.
    values = {**mapping, "data": {name: said for name, said in mapping["data"].items() if name != "splits"}}
    origin = before.origin if before else document_hash({"mapping": values, "files": digests(items)})
    problem = external(plan, first, origin)
    size = sum(field.nbytes for field in problem.template(1).data_vars.values())
    shard = shard_of(plan, new, size)
    return Manifest(origin=origin, mapping=mapping, shard=shard, items=items), problem


def _pipeline(plan: Plan, manifest: Manifest, problem: External) -> Pipeline:
    """Return the recipe of the dataset."""
    asked, files = plan.mapping.data, manifest.files
    names = tuple(path.rpartition("/")[2] for path in files[:NAMES])
    return Pipeline(
        name=plan.mapping.name,
        problem=problem,
        data=Data(samples=manifest.samples, shard=manifest.shard, dtype=asked.dtype, splits=asked.splits),
        about=plan.mapping.about,
        imported=Imported(
            files=names,
            count=len(files),
            bytes=sum(sum(item.bytes) for item in manifest.items),
            manifest=key(plan.mapping.name),
        ),
    )


def _write(plan: Plan, first: Resolved, manifest: Manifest, dataset: Committer, cluster: Cluster) -> int:
    """Write and commit the shards that are missing; return the samples of them."""
    before = dataset.committed()
    missing = [index for index in range(dataset.n_shards) if index not in before]
    report, done, failed = Reporter("import", dataset.samples, plan.mapping.name), len(before), 0
    if not missing:
        return 0
    shards = _shards(first, manifest, dataset, missing)
    window = cluster.window("solve")
    for group in streamed(cluster, worker.write, shards, window=window, role="solve", every=lambda: COMMIT_EVERY):
        receipts = [one.receipt for one in group]
        dataset.commit({one.index: (one.fork, one.ledger) for one in receipts if one.fork is not None})
        done += len(receipts)
        failed += sum(int(np.count_nonzero(one.ledger["status"] == "failed")) for one in receipts)
        group.clear()
        report(done * dataset.shard, f"{failed} not finite" if failed else "")
    return len(missing) * dataset.shard


def _shards(
    first: Resolved, manifest: Manifest, dataset: Committer, missing: Sequence[int]
) -> Iterator[worker.ImportedShard]:
    ends = np.cumsum([item.samples for item in manifest.items])
    fork, roles = dataset.fork(), {one.name: one.role for one in first.variables}
    dtype = dataset.recipe["data"]["dtype"]
    for index in missing:
        start, pieces = index * dataset.shard, list[worker.Piece]()
        stop = start + dataset.shard
        at = int(np.searchsorted(ends, start, side="right"))
        while start < stop:
            item, offset = manifest.items[at], int(ends[at]) - manifest.items[at].samples
            end = min(stop, int(ends[at]))
            stamps = tuple(Stamp(*one) for one in zip(item.bytes, item.modified, strict=True))
            pieces.append(worker.Piece(item.files, stamps, start - offset, end - offset))
            start, at = end, at + 1
        yield worker.ImportedShard(
            store=dataset.store.url,
            dataset=dataset.name,
            index=index,
            length=dataset.shard,
            pieces=tuple(pieces),
            readings=first.readings,
            roles=roles,
            dtype=dtype,
            fork=fork,
        )


def _publish(dataset: Committer, manifest: Manifest) -> Version:
    return dataset.publish(f"{manifest.samples} samples of {len(manifest.files)} files")
