"""With what and on what something was computed: what a reader needs to do it again."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import distribution
from importlib.metadata import version as package_version
from pathlib import Path

from ritz.compute.document import DocumentPart

PACKAGES = (
    *("ritz", "numpy", "scipy", "numba", "torch", "neuraloperator"),
    *("zarr", "icechunk", "xarray", "dask", "prefect"),
)
"""Packages whose versions are recorded."""


class Machine(DocumentPart):
    """The machine of a process: the name of its processor, the cores that the process may use, the system."""

    processor: str
    cores: int
    system: str


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of `PACKAGES`, and the ``build`` of Ritz.

    ``build`` is the commit that Ritz was installed from, with ``+changes`` where its files differ from it; None for
    a release.
    """
    packages = {name: package_version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **packages, "build": build()}


def machine() -> Machine:
    """Return the machine of this process."""
    return Machine(processor=_processor(), cores=_cores(), system=f"{platform.system()} {platform.machine()}")


def build() -> str | None:
    """Return the commit that Ritz was installed from, with ``+changes`` where files differ; None for a release."""
    installed = distribution("ritz")
    source = json.loads(installed.read_text("direct_url.json") or "{}")
    if "vcs_info" in source:
        return str(source["vcs_info"]["commit_id"])
    return _checkout() if source.get("dir_info", {}).get("editable") else None


def _checkout() -> str | None:
    """Return the commit of the checkout that an editable install points to."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        # There is no git, or it does not trust whoever owns the folder.
        return None
    return f"{commit}+changes" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
