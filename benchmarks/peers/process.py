"""Peers in a process of their own: another interpreter, or a library that cannot stand another one beside it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.method import MARGIN, Answer, Method, Step


class Process:
    """A script of `benchmarks/peers/servers` and its pipe; see `servers/wire.py` for what goes through.

    Raises
    ------
    ImportError
        If it does not start, with the last line of what it said.
    """

    def __init__(self, script: str, python: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        path = Path(__file__).parent / "servers" / script
        # Not a pipe: nobody reads along, and a full one would stop the process.
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        try:
            self.process = subprocess.Popen(
                [python, str(path), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                env=os.environ | (environment or {}),
            )
            self.versions = self._receive()
        except (OSError, EOFError) as error:
            self.errors.close()
            raise ImportError(f"{script} does not start with {python}: {error}") from error

    def _receive(self) -> dict[str, Any]:
        """Read a line of JSON."""
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            self.process.communicate()
            self.errors.seek(0)
            said = self.errors.read().decode().strip().splitlines()
            raise EOFError(said[-1] if said else f"the process ended with status {self.process.returncode}")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(
        self, request: Mapping[str, Any], arrays: Sequence[np.ndarray], count: int
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Send a request, and read the account and ``count`` numbers."""
        pipe = self.process.stdin
        assert pipe is not None
        about = [[array.dtype.str, array.size] for array in arrays]
        pipe.write(json.dumps({**request, "arrays": about}).encode() + b"\n")
        for array in arrays:
            pipe.write(np.ascontiguousarray(array).data)
        pipe.flush()
        account = self._receive()
        read = self.process.stdout.read(8 * count)  # type: ignore[union-attr]
        return account, np.frombuffer(read, dtype="<f8")


def matrix(step: Step) -> list[np.ndarray]:
    """Return a matrix by rows, and the right-hand sides."""
    pattern = step.systems.operators.pattern
    return [pattern.indptr, pattern.indices, step.matrix.data, step.rhs]


@dataclass
class Remote(Method):
    """A method of another process, by its options.

    What depends on the pattern only is kept between systems; with ``constant`` all of the set-up is.
    """

    name: str
    process: Callable[[], Process]
    options: Mapping[str, Any]
    rtol: float
    constant: bool
    group: str = "iterative"
    maxiter: int = 3000
    arrays: Callable[[Step], list[np.ndarray]] = matrix
    reuses: bool = True
    carries: bool = False

    def begin(self, step: Step) -> None:
        del step
        self.begun = False

    def restart(self) -> None:
        """Do nothing: every system starts from zero."""

    def solve(self, step: Step) -> Answer:
        operators = step.systems.operators
        changed = not (self.begun and self.constant)
        request = {
            "method": self.name,
            "options": self.options,
            "size": step.rhs.shape[1],
            "rtol": MARGIN * self.rtol,
            "maxiter": self.maxiter,
            "fresh": not self.begun,
            "changed": changed,
            "symmetric": operators.symmetric,
            "definite": operators.definite,
        }
        self.begun = True
        account, x = self.process().ask(request, self.arrays(step), step.rhs.size)
        reason = account.get("reason", 0)
        note = "" if not isinstance(reason, str) and reason >= 0 else f"{self._library()}: {reason}"
        return Answer(
            x.reshape(step.rhs.shape),
            account["seconds"],
            account["setup"] if changed else None,
            account["iterations"],
            note,
        )

    def _library(self) -> str:
        return self.name.split()[0] + "'s reason"
