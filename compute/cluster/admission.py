"""What a worker is asked before it gets work: whether it computes with what the driver computes with.

This file goes to the workers as text and runs there, whatever Python and Ritz they have: it uses nothing else of Ritz.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from typing import Any

from distributed import Status, WorkerPlugin

PACKAGES = (
    # What the numbers are computed with.
    *("numpy", "scipy", "numba", "torch", "neuraloperator", "scikit-fem", "scikit-learn"),
    # What is written, and read back.
    *("xarray", "zarr", "icechunk", "numcodecs", "safetensors"),
    # What goes between the driver and its workers.
    *("dask", "distributed", "cloudpickle", "pydantic"),
)
"""Those of which driver and workers have to have the same version."""

SOURCES = ("compute", "storage", "tasks", "flows", "deployments")
"""The packages of Ritz in `ritz`."""


def versions() -> dict[str, str]:
    """Return what this process computes with, as texts by name.

    Any difference in one of them can change a stored number, or how it is stored or sent, without an error; so all
    have to be equal. Of Python its major and minor version counts: what comes after mends the interpreter alone. Of
    packages all counts but the build behind a ``+``: a worker on a GPU has another torch of the same version. Of Ritz
    its files count as well, since an editable install keeps its version while they change.
    """
    found = {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "ritz": _ritz()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def _ritz() -> str:
    spec = importlib.util.find_spec("ritz")
    if spec is None or not spec.submodule_search_locations:
        return "none"
    root = Path(next(iter(spec.submodule_search_locations)))
    digest = hashlib.sha256()
    for package in SOURCES:
        for file in sorted((root / package).rglob("*")):
            if file.suffix in (".py", ".jinja"):
                digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return f"{_version(root.parent)} (files {digest.hexdigest()[:12]})"


def _version(root: Path) -> str:
    """Return the version that the tree says it is, or else the one that is installed."""
    project = root / "pyproject.toml"
    if project.is_file():
        import tomllib

        said = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
        if said.get("name") == "ritz":
            return str(said["version"])
    try:
        return importlib.metadata.version("ritz")
    except importlib.metadata.PackageNotFoundError:
        return "none"


class Admission(WorkerPlugin):
    """Lets a worker work for a driver if it has the same versions, and says so to the driver if it has not.

    Dask runs this on every worker there is and on each that joins, before it gets a task. The worker then offers what
    it offers, the resource of a role, once more under a name of these versions, and the driver's work asks for that.

    Parameters
    ----------
    expected
        The driver's `versions`.
    roles
        Resource of a role → name of the resource of that role for workers with these versions.
    topic
        On which the driver hears of those that are refused.
    """

    def __init__(self, expected: dict[str, str], roles: dict[str, str], topic: str) -> None:
        self.expected, self.roles, self.topic = expected, roles, topic

    def __reduce__(self) -> Any:
        """Go as text: another Ritz may lack this file, and another Python could not read the code made of it."""
        source = Path(__file__).read_text(encoding="utf-8")
        given = {"__name__": __name__, "__file__": __file__, "source": source, "given": self.__dict__}
        return eval, ("exec(source) or Admission(**given)", given)

    async def setup(self, worker: Any) -> None:
        """Admit the worker, or tell the driver in what it differs."""
        offered = {
            name: worker.state.total_resources[role]
            for role, name in self.roles.items()
            if role in worker.state.total_resources
        }
        if not offered or offered.keys() <= worker.state.total_resources.keys():
            return
        # As they were when it was asked first: what it has loaded stays when files change.
        if not hasattr(worker, "ritz_versions"):
            worker.ritz_versions = versions()
        theirs = worker.ritz_versions
        differing = {
            name: (theirs.get(name, "none"), ours) for name, ours in self.expected.items() if theirs.get(name) != ours
        }
        if differing:
            refused = {"address": worker.address, "name": str(worker.name), "differing": differing}
            worker.log_event(self.topic, refused)
            return
        await worker.set_resources(**offered)
        if not worker.state.tasks:
            # Work that has waited for such a worker is looked at again when one can be given work, and not for this.
            worker.status = Status.paused
            worker.status = Status.running
