"""A store with what a run made and with what somebody imported who means no good, and its catalogue."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ritz.compute.cluster.local import Local
from ritz.tasks.catalogue.worker import catalogue
from tests.tasks.importing.mapped import VARIABLES, imported, made, written

HOSTILE = "\"><script>pwned=1</script><img src=https://away.example/x onerror=pwned=1>'{{7*7}}](javascript:pwned=1)"
"""What breaks out of texts, attributes, templates and Markdown that are not escaped."""

ABOUT = {
    "description": f"# heading\n{HOSTILE}",
    "licence": HOSTILE,
    "contact": "javascript:pwned=1",
    "citation": HOSTILE,
    "url": "https://data.example/darcy",
}


@pytest.fixture(scope="package")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an imported dataset whose texts are not what they should be; only to be read."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, values in made(12).items():
        (folder / name).mkdir()
        np.save(folder / name / "all.npy", values)
    variables = {
        name: one | {"files": f"{name}/*.npy", "long_name": HOSTILE, "units": HOSTILE[:90]}
        for name, one in VARIABLES.items()
    }
    mapping = written(folder, {"name": "theirs", "variables": variables, "about": ABOUT})
    with Local().open(("solve",)) as cluster:
        imported(mapping, folder / "store", cluster)
    return folder / "store"


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory, tiny_store: tuple[Path, dict[str, Any]], hostile: Path) -> Path:
    """A store with both; only to be read, but for what a catalogue notes in it."""
    store = tmp_path_factory.mktemp("catalogued") / "store"
    shutil.copytree(tiny_store[0], store)
    shutil.copytree(hostile / "datasets" / "theirs", store / "datasets" / "theirs")
    return store


@pytest.fixture(scope="package")
def site(store: Path) -> Path:
    """The catalogue of the store; only to be read."""
    folder = store.with_name("site")
    written = catalogue(str(store), str(folder))
    assert (written.datasets, written.models, written.removed) == (2, 1, ())
    return folder
