"""Admission of workers: a worker gets tasks only if its versions are those of the driver.

This file is sent to the workers as text and runs there under any Python and any Ritz: it imports no other part of Ritz.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import Any

from distributed import Status, WorkerPlugin

PACKAGES = (
    # They compute the numbers.
    *("numpy", "scipy", "numba", "torch", "neuraloperator", "scikit-fem", "scikit-learn"),
    # They write them, and read them back.
    *("xarray", "zarr", "icechunk", "numcodecs", "safetensors"),
    # They carry messages between the driver and its workers.
    *("dask", "distributed", "cloudpickle", "pydantic"),
)
"""Packages of which driver and workers need the same version."""

SOURCES = ("compute", "storage", "tasks", "flows", "deployments")
"""The packages of Ritz in `ritz`."""


def versions() -> dict[str, str]:
    """Return the versions of Python, Ritz and `PACKAGES` in this process, as texts by name.

    Any difference can change a stored number, or how it is stored or sent, without an error; so all have to be equal.
    Of Python the major and minor version count: a patch release repairs the interpreter alone. Of a package the whole
    version counts except the build behind a ``+``: a worker on a GPU has another build of the same torch. Of Ritz the
    files count as well, since an editable install keeps its version while they change.
    """
    installed = {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "ritz": _ritz()}
    for name in PACKAGES:
        try:
            installed[name] = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            installed[name] = "none"
    return installed


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
    """Return the version in the tree's pyproject.toml, or else that of the installed package."""
    project = root / "pyproject.toml"
    if project.is_file():
        import tomllib

        declared = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
        if declared.get("name") == "ritz":
            return str(declared["version"])
    try:
        return importlib.metadata.version("ritz")
    except importlib.metadata.PackageNotFoundError:
        return "none"


def usage(worker: Any) -> dict[str, float]:
    """Return the age of this process and its processor time, in seconds, and the threads of its numeric libraries."""
    import psutil

    del worker
    times, threads = os.times(), os.environ.get("OMP_NUM_THREADS", "")
    return {
        "age": time.time() - psutil.Process().create_time(),
        "cpu": times.user + times.system,
        "threads": int(threads) if threads.isdecimal() else 1,
    }


class Admission(WorkerPlugin):
    """Admits a worker if it has the driver's versions, and notifies the driver of the differences if it has not.

    Dask runs this on every worker, also on those that join later, before they get a task. An admitted worker offers the
    resource of its role a second time, under a name that stands for these versions; the driver's tasks require it.

    Parameters
    ----------
    expected
        The driver's `versions`.
    roles
        Resource of a role → name of the resource of that role for workers with these versions.
    topic
        Topic on which the driver is notified of refused workers.
    """

    def __init__(self, expected: dict[str, str], roles: dict[str, str], topic: str) -> None:
        self.expected, self.roles, self.topic = expected, roles, topic

    def __reduce__(self) -> Any:
        """Pickle as text: another Ritz may lack this file, and another Python could not read its byte code."""
        source = Path(__file__).read_text(encoding="utf-8")
        given = {"__name__": __name__, "__file__": __file__, "source": source, "given": self.__dict__}
        return eval, ("exec(source) or Admission(**given)", given)

    async def setup(self, worker: Any) -> None:
        """Admit the worker, whose heartbeats then tell its usage, or notify the driver of the versions that differ."""
        offered = {
            name: worker.state.total_resources[role]
            for role, name in self.roles.items()
            if role in worker.state.total_resources
        }
        if not offered or offered.keys() <= worker.state.total_resources.keys():
            return
        # The versions at the first call: what the worker has loaded stays when files change.
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
        worker.metrics.setdefault("ritz_usage", usage)
        await worker.set_resources(**offered)
        if not worker.state.tasks:
            # The scheduler retries waiting tasks when a worker becomes idle, not when its resources change.
            worker.status = Status.paused
            worker.status = Status.running
