"""What differs between two versions of datasets."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ritz.storage.datasets import Dataset
from ritz.storage.documents import flat
from ritz.storage.ledger import SPLITS
from ritz.storage.reading import resolve
from ritz.storage.store import Store

_SAME_ANYWAY = ("history", "recipe", "coordinates")


def difference(store_url: str, first: str, second: str) -> dict[str, Any]:
    """Compare two versions: samples, recipe, variables, attributes.

    Values are not compared: of one dataset they are the same by construction, since a sample is written once.

    Parameters
    ----------
    first, second
        ``NAME@VERSION``, of one dataset or of two.

    Returns
    -------
    dict
        ``first`` and ``second`` (what was compared), ``same_samples`` (whether a sample of one id is the same in
        both: one recipe made them), ``samples`` (``first``, ``second``, ``added``, ``removed``, ``status_changed``, by
        split), ``recipe`` (rows ``field``, ``first``, ``second``), ``variables`` (likewise), ``attributes`` (likewise).

    Raises
    ------
    ritz.storage.errors.Unknown
        If there is no such dataset or version.
    """
    store = Store(store_url)
    versions = [resolve(store, spec) for spec in (first, second)]
    handles = [Dataset.open(store, version.name).at(version.version) for version in versions]
    before, after = handles
    return {
        "first": {"version": versions[0].spec, "snapshot": versions[0].snapshot, "bytes": versions[0].bytes},
        "second": {"version": versions[1].spec, "snapshot": versions[1].snapshot, "bytes": versions[1].bytes},
        "same_samples": before.identity == after.identity,
        "samples": _samples(before, after),
        "recipe": _rows(flat(before.recipe), flat(after.recipe)),
        "variables": _rows(_variables(before.template), _variables(after.template)),
        "attributes": _rows(_attributes(before), _attributes(after)),
    }


def _samples(before: Dataset, after: Dataset) -> dict[str, Any]:
    held = [_held(dataset) for dataset in (before, after)]
    (old, old_split, old_status), (new, new_split, new_status) = held
    both, here, there = np.intersect1d(old, new, return_indices=True)
    return {
        "first": len(old),
        "second": len(new),
        "added": _by_split(new_split[~np.isin(new, old)]),
        "removed": _by_split(old_split[~np.isin(old, new)]),
        "other_split": int((old_split[here] != new_split[there]).sum()),
        "other_status": int((old_status[here] != new_status[there]).sum()),
        "common": len(both),
    }


def _held(dataset: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ledger = dataset.ledger()
    there = ledger["status"] != "absent"
    return ledger["sample_id"][there], ledger["split"][there], ledger["status"][there]


def _by_split(split: np.ndarray) -> dict[str, int]:
    counts = {name: int((split == name).sum()) for name in SPLITS}
    return {name: count for name, count in counts.items() if count}


def _variables(template: xr.Dataset) -> dict[str, Any]:
    return {
        str(name): {
            "dims": {str(dim): n for dim, n in variable.sizes.items() if dim != "sample"},
            "dtype": str(variable.dtype),
            "attrs": {key: value for key, value in variable.attrs.items() if isinstance(value, str)},
        }
        for name, variable in template.variables.items()
    }


def _attributes(dataset: Dataset) -> dict[str, Any]:
    return {name: value for name, value in dataset.attrs.items() if name not in _SAME_ANYWAY}


def _rows(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what differs; None where one side has no such field."""
    return [
        {"field": name, "first": first.get(name), "second": second.get(name)}
        for name in sorted(first.keys() | second.keys())
        if first.get(name) != second.get(name)
    ]
