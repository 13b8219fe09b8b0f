"""Which of the files of an import are new, and what all of them come to."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ritz.storage.errors import Refused
from ritz.tasks.importing.manifest import Item, Manifest
from ritz.tasks.importing.plan import Plan
from ritz.tasks.importing.worker import Seen

log = logging.getLogger("ritz")

MOST, LARGEST = 1024, 2**26
"""Samples and bytes of a shard at most, by default; 64 MiB."""

SHARDS, FEW = 32, 16
"""Shards that there are of many samples at least, so that workers share them, and samples that are few in one."""

CHUNK = 2**31 - 2**20
"""Bytes that a variable of a sample may have: a sample is one chunk, which blosc compresses below 2 GiB."""


def added(plan: Plan, seen: Sequence[Seen]) -> tuple[Item, ...]:
    """Return the items that are new, in the order of the files.

    A file at another path is the one that is imported already if it has its digest, and nothing lies at the old path.

    Raises
    ------
    ritz.storage.errors.Refused
        If a file has changed since it was imported, or two items are the same.
    """
    before = plan.manifest.items if plan.manifest is not None else ()
    by_path = {item.files: item for item in before}
    by_digest = {item.digests: item.files for item in before}
    here, new = set(plan.items), list[Item]()
    for paths, one in zip(plan.items, seen, strict=True):
        known = by_path.get(paths)
        if known is not None:
            if known.digests != one.digests:
                raise Refused(
                    f"{paths[0]} has changed since it was imported to dataset {plan.mapping.name!r}; set another name, "
                    f"e.g. name: {plan.mapping.name}-2"
                )
            continue
        twin = by_digest.get(one.digests)
        if twin is not None and (twin in here or Path(twin[0]).exists()):
            raise Refused(
                f"{paths[0]} has the same bytes as {twin[0]}, expected each sample once; take one of them out"
            )
        if twin is None:
            sizes, times = zip(*one.stamps, strict=True)
            item = Item(files=paths, digests=one.digests, bytes=sizes, modified=times, samples=one.samples)
            new.append(item)
            by_digest[one.digests] = paths
    gone = len(set(by_path) - here)
    if gone:
        log.info("import: %d files that were imported before are not named any more; their samples stay", gone)
    return tuple(new)


def shard_of(plan: Plan, items: Sequence[Item], sample_bytes: int) -> int:
    """Return the samples of a shard: what is asked for, that of the dataset, or a divisor of what there is.

    Of files with several samples each it divides the samples of every file, so that one more file can be added.

    Raises
    ------
    ritz.storage.errors.Refused
        If the samples fill no whole number of shards.
    """
    samples = sum(item.samples for item in items)
    if plan.manifest is not None or plan.mapping.data.shard is not None:
        shard = plan.manifest.shard if plan.manifest is not None else plan.mapping.data.shard
        assert shard is not None
        if samples % shard:
            raise Refused(
                f"{samples} samples in {len(items)} new files are no multiple of the shard, {shard} samples; expected "
                f"{samples // shard * shard} or {(samples // shard + 1) * shard}, or another name with data.shard: "
                f"{math.gcd(samples, shard)}"
            )
        return shard
    counts = Counter(item.samples for item in items)
    alike = math.gcd(*counts) if max(counts) > 1 else samples
    most = max(1, min(MOST, LARGEST // sample_bytes, max(FEW, samples // SHARDS)))
    found = _largest_divisor(alike, most)
    if found * 16 < most and found < samples:
        # A prime number of samples in each file: shards may go across files.
        found = max(found, _largest_divisor(samples, most))
    return found


def _largest_divisor(of: int, most: int) -> int:
    return next(one for one in range(min(of, most), 0, -1) if of % one == 0)


def joined(manifest: Manifest | None, new: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return all items: those there are and those that are new."""
    return (*(manifest.items if manifest is not None else ()), *new)
