"""What a test needs of the machine: where it is not there the test skips, or fails where RITZ_REQUIRE names it.

``RITZ_REQUIRE=root,chromium`` is for machines that have both: there nothing may go untested in silence.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import axe


def _may(*command: str) -> bool:
    """Return whether a command ends well: containers are kept from making networks of their own."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


THERE: dict[str, Callable[[], bool]] = {
    "root": lambda: os.geteuid() == 0,
    "chromium": lambda: shutil.which("chromium") is not None,
    "slurm": lambda: all(shutil.which(f"/usr/sbin/{name}") for name in ("munged", "slurmctld", "slurmd")),
    "iproute2": lambda: shutil.which("ip") is not None and _may("unshare", "--net", "true"),
    "curl": lambda: shutil.which("curl") is not None,
    "postgres": lambda: any(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
    "axe": lambda: shutil.which("chromium") is not None and axe.source() is not None,
    "compliance-checker": lambda: shutil.which("compliance-checker") is not None,
}
"""How a need is recognised."""


def expected(need: str) -> bool:
    """Return whether a need is met, or named by RITZ_REQUIRE, so that `require` fails and does not skip."""
    return THERE[need]() or need in _demanded()


def _demanded() -> set[str]:
    return {need.strip() for need in os.environ.get("RITZ_REQUIRE", "").split(",")}


def require(*needs: str) -> None:
    """Skip the test that calls this where a need is not met, with the reason."""
    demanded = _demanded()
    for need in needs:
        if not THERE[need]():
            if need in demanded:
                pytest.fail(f"RITZ_REQUIRE names {need!r}, which is not there")
            pytest.skip(f"needs {need}")
