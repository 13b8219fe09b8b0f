"""Files of somebody else, what is said of them, and their import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.problems.problem import Arrays
from ritz.tasks.importing.importing import import_files
from ritz.tasks.importing.result import ImportedDataset
from ritz.tasks.requests.importing import ImportFiles

VARIABLES: dict[str, Any] = {
    "a": {"role": "input", "dims": ["sample", "y", "x"]},
    "u": {"role": "output", "dims": ["sample", "y", "x"]},
}


def made(count: int, seed: int = 0, points: int = 6) -> Arrays:
    """Return fields of some samples, ``(count, points, points + 1)`` float32."""
    random = np.random.default_rng(seed)
    return {name: random.normal(size=(count, points, points + 1)).astype(np.float32) for name in ("a", "u")}


def written(folder: Path, document: dict[str, Any]) -> str:
    """Write what is said of files, and return the path."""
    path = folder / f"{document['name']}.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def imported(mapping: str, store: Path, cluster: Cluster) -> ImportedDataset:
    """Import files as `ritz import` does."""
    work = ImportFiles.read(mapping).planned(str(store))
    found: ImportedDataset = import_files.fn(work, str(store), cluster)
    return found
