"""A version of a dataset, opened to be checked, and what makes its samples."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ritz.compute.problems.catalogue import AnyProblem
from ritz.compute.problems.problem import Problem
from ritz.storage.documents import parsed
from ritz.storage.errors import Refused, StorageError, Unknown
from ritz.storage.integrity.located import Located, locate
from ritz.storage.integrity.objects import snapshot_file
from ritz.storage.integrity.scan import Scan, Unopened
from ritz.storage.store import Store
from ritz.storage.wording import cut, shown
from ritz.tasks.auditing.findings import Finding
from ritz.tasks.auditing.regenerate_worker import Sample, Source
from ritz.tasks.pipeline import Data


def opened(store: Store, located: Located) -> tuple[Scan | None, list[Finding]]:
    """Open a version as far as its files allow, and say what is wrong with them.

    Raises
    ------
    ritz.storage.errors.StorageError
        If nothing is wrong with them and it still cannot be opened: it has another layout.
    """
    damage = [Finding("objects", one.what, object=one.object) for one in located.damage]
    if located.snapshot is None:
        return None, damage
    try:
        scan = Scan(store, located.name, located.snapshot)
    except StorageError as error:
        if isinstance(error, Unopened) and not any(one.object == error.object for one in damage):
            damage.append(Finding("objects", error.what, object=error.object))
        if not damage:
            raise
        return None, damage
    own = f"datasets/{located.name}/{snapshot_file(located.snapshot)}"
    if located.seal is not None and any(one.object == own for one in damage):
        if not scan.same_content(located.seal):
            # Nothing that it says of the others can be relied on.
            return None, damage
        # Expiring older snapshots writes it anew, with another parent.
        damage = [one for one in damage if one.object != own]
    return scan, damage


def maker(located: Located, scan: Scan) -> tuple[Problem, Data]:
    """Return the problem and the data of the recipe that made a version.

    Raises
    ------
    ritz.storage.errors.Refused
        If the recipe cannot be read, as one whose problem is a class that is not installed.
    """
    spec = f"{located.name}@{located.version}"
    recipe = parsed(str(scan.attrs.get("recipe", "{}")).encode(), f"dataset {spec}: its attribute recipe")
    try:
        problem: Problem = TypeAdapter(AnyProblem).validate_python(recipe["problem"])
        return problem, Data.model_validate(recipe["data"])
    except (ValidationError, KeyError, TypeError) as error:
        why = "; ".join(one["msg"] for one in error.errors()) if isinstance(error, ValidationError) else repr(error)
        kind = recipe.get("problem", {}).get("kind") if isinstance(recipe, dict) else None
        raise Refused(
            f"dataset {spec}: its samples cannot be solved again, because its problem {shown(kind)} cannot be loaded "
            f"({cut(why)}); install its package, which has an entry point in the group ritz.problems"
        ) from error


def source(store: Store, located: Located, scan: Scan, made: tuple[Problem, Data]) -> Source:
    """Return what a worker needs to read the version and to make its samples again."""
    problem, data = made
    rtol = float(scan.attrs["rtol"])
    return Source(store.url, located.name, scan.snapshot, problem, data.seed, rtol, uuid4().hex)


def place(located: Located, scan: Scan, sample: int) -> int:
    """Return the position of a sample in the order of solving.

    Raises
    ------
    ritz.storage.errors.Unknown
        If the version does not have it.
    """
    ids, faults, _ = scan.whole("sample_id")
    if faults:
        raise StorageError(f"dataset {located.name}@{located.version}: {faults[0].object}: {faults[0].what}")
    found = np.flatnonzero(ids == sample)
    if not len(found):
        raise Unknown(
            f"sample {shown(sample)} is not in dataset {located.name}@{located.version}: it has {len(ids)} samples, "
            f"from {ids.min()} to {ids.max()}"
        )
    if not scan.has(int(found[0]) // scan.shard):
        raise Unknown(f"sample {sample} of dataset {located.name}@{located.version} is not solved yet")
    return int(found[0])


def sample_of(store_url: str, dataset: str, sample: int) -> Sample:
    """Return one sample of a version, to be made again.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such dataset, version or sample.
    ritz.storage.errors.Refused
        If the problem cannot be loaded, or the samples were solved elsewhere.
    ritz.storage.errors.StorageError
        If the version is too damaged to be opened.
    """
    store = Store(store_url)
    located = locate(store, dataset)
    scan, damage = opened(store, located)
    if scan is None:
        raise StorageError(f"dataset {dataset}: {damage[0]}; see `ritz audit {dataset}`")
    made = maker(located, scan)
    if reason := made[0].unsolvable():
        raise Refused(f"sample {sample} of dataset {dataset} cannot be made again: {reason}; see `ritz audit --as`")
    of = source(store, located, scan, made)
    return Sample(of, sample, place(located, scan, sample))
