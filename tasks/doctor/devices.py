"""Accelerators, and whether the PyTorch that is installed can use them; it is not loaded for that."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from ritz.tasks.doctor.finding import Finding

_CUDA = re.compile(r"^cuda[^=]*= '([^']+)'", re.MULTILINE)


def devices() -> Iterator[Finding]:
    """Look which devices a trainer can have."""
    found, build = _gpus(), built_for()
    if found and not build:
        said = f"{', '.join(found)}, but the PyTorch that is installed is a build for CPUs"
        todo = "give a constraints file with a CUDA build of torch: make run CONSTRAINTS=mine.txt"
        yield Finding(subject="devices", state="warn", said=said, todo=todo)
    elif found:
        yield Finding(subject="devices", state="ok", said=f"{', '.join(found)}; PyTorch is built for CUDA {build}")
    elif (platform.system(), platform.machine()) == ("Darwin", "arm64"):
        yield Finding(subject="devices", state="ok", said="cpu and mps")
    else:
        yield Finding(subject="devices", state="ok", said="cpu alone")


def built_for() -> str:
    """Return the version of CUDA that the installed PyTorch is built for, empty where for none."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    match = _CUDA.search((Path(spec.origin).parent / "version.py").read_text(encoding="utf-8"))
    return match[1] if match else ""


def _gpus() -> list[str]:
    """Return the GPUs that the driver of NVIDIA has."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
