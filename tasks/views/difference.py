"""What differs between two versions of datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ritz.compute.document import DocumentPart, Json
from ritz.storage.datasets import Dataset
from ritz.storage.documents import flat
from ritz.storage.ledger import SPLITS
from ritz.storage.reading import resolve
from ritz.storage.store import Store

_SAME_ANYWAY = ("history", "recipe", "coordinates")


class Compared(DocumentPart):
    """A version that is compared."""

    version: str
    snapshot: str
    bytes: int | None


class SampleDifference(DocumentPart):
    """How many samples each of two versions has, and what differs between them.

    Attributes
    ----------
    added, removed
        By split, those that only the second or only the first one has.
    other_split, other_status
        Of the common ones, those that are in another split or ended otherwise.
    """

    first: int
    second: int
    added: Mapping[str, int]
    removed: Mapping[str, int]
    other_split: int
    other_status: int
    common: int


class FieldDifference(DocumentPart):
    """A field that differs; None where one side has no such field."""

    field: str
    first: Any
    second: Any


class Difference(DocumentPart):
    """What differs between two versions of datasets.

    Attributes
    ----------
    same_samples
        Whether a sample of one id is the same in both: one recipe made them.
    """

    first: Compared
    second: Compared
    same_samples: bool
    samples: SampleDifference
    recipe: tuple[FieldDifference, ...]
    variables: tuple[FieldDifference, ...]
    attributes: tuple[FieldDifference, ...]


def difference(store_url: str, first: str, second: str) -> Difference:
    """Compare two versions: samples, recipe, variables, attributes.

    Values are not compared: of one dataset they are the same by construction, since a sample is written once.

    Parameters
    ----------
    first, second
        ``NAME@VERSION``, of one dataset or of two.

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such dataset or version.
    """
    store = Store(store_url)
    versions = [resolve(store, spec) for spec in (first, second)]
    handles = [Dataset.open(store, version.name).at(version.version) for version in versions]
    before, after = handles
    compared = [Compared(version=one.spec, snapshot=one.snapshot, bytes=one.bytes) for one in versions]
    return Difference(
        first=compared[0],
        second=compared[1],
        same_samples=before.identity == after.identity,
        samples=_samples(before, after),
        recipe=_rows(flat(before.recipe), flat(after.recipe)),
        variables=_rows(_variables(before.template), _variables(after.template)),
        attributes=_rows(_attributes(before), _attributes(after)),
    )


def _samples(before: Dataset, after: Dataset) -> SampleDifference:
    held = [_held(dataset) for dataset in (before, after)]
    (old, old_split, old_status), (new, new_split, new_status) = held
    both, here, there = np.intersect1d(old, new, return_indices=True)
    return SampleDifference(
        first=len(old),
        second=len(new),
        added=_by_split(new_split[~np.isin(new, old)]),
        removed=_by_split(old_split[~np.isin(old, new)]),
        other_split=int((old_split[here] != new_split[there]).sum()),
        other_status=int((old_status[here] != new_status[there]).sum()),
        common=len(both),
    )


def _held(dataset: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ledger = dataset.ledger()
    there = ledger["status"] != "absent"
    return ledger["sample_id"][there], ledger["split"][there], ledger["status"][there]


def _by_split(split: np.ndarray) -> dict[str, int]:
    counts = {name: int((split == name).sum()) for name in SPLITS}
    return {name: count for name, count in counts.items() if count}


def _variables(template: xr.Dataset) -> Json:
    return {
        str(name): {
            "dims": {str(dim): n for dim, n in variable.sizes.items() if dim != "sample"},
            "dtype": str(variable.dtype),
            "attrs": {key: value for key, value in variable.attrs.items() if isinstance(value, str)},
        }
        for name, variable in template.variables.items()
    }


def _attributes(dataset: Dataset) -> Json:
    return {name: value for name, value in dataset.attrs.items() if name not in _SAME_ANYWAY}


def _rows(first: Json, second: Json) -> tuple[FieldDifference, ...]:
    return tuple(
        FieldDifference(field=name, first=first.get(name), second=second.get(name))
        for name in sorted(first.keys() | second.keys())
        if first.get(name) != second.get(name)
    )
