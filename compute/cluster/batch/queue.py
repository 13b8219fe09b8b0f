"""The contract of a batch system: how a job of it is made, and which jobs it still has."""

from __future__ import annotations

import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from ritz.compute.cluster.batch.request import JobRequest
from ritz.compute.cluster.errors import ClusterError

ANSWER = 60.0
"""Seconds that a batch system has to answer."""


class Unanswered(RuntimeError):
    """The batch system did not say which jobs it has."""


class BatchQueue(ABC):
    """A batch system, asked through its commands on the machine of the driver."""

    name: ClassVar[str]
    """What it is called in messages."""

    programs: ClassVar[tuple[str, ...]]
    """Its commands that are needed."""

    @abstractmethod
    def job(self, scheduler: str, request: JobRequest) -> Any:
        """Return a job of dask-jobqueue whose worker connects to a scheduler; it is not submitted yet.

        Its ``job_script`` is what will be submitted, its ``start`` submits, its ``close`` cancels.
        """

    @abstractmethod
    def states(self) -> dict[str, str]:
        """Return the jobs of this user that wait or run: number → state.

        Raises
        ------
        Unanswered
            If the batch system did not answer.
        """

    def check(self) -> None:
        """Refuse a machine without dask-jobqueue or without the commands of the batch system.

        Raises
        ------
        ClusterError
            With the extra to install, or the missing command.
        """
        from importlib.util import find_spec

        if find_spec("dask_jobqueue") is None:
            raise ClusterError(
                f"profile.kind: {self.name} needs dask-jobqueue, which is not installed; expected the extra "
                "`jobqueue`: pip install 'ritz[jobqueue]'"
            )
        missing = [program for program in self.programs if shutil.which(program) is None]
        if missing:
            raise ClusterError(
                f"profile.kind: there is no program {missing[0]!r} on this machine; expected the commands of "
                f"{self.name}, on a machine that submits jobs"
            )


def answer(command: Sequence[str]) -> str:
    """Return what a command of a batch system prints.

    Raises
    ------
    Unanswered
        If it fails, or takes longer than `ANSWER`.
    """
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unanswered(f"{command[0]}: {error}") from error
    if ended.returncode:
        raise Unanswered(f"{command[0]}: {ended.stderr.strip() or f'exit code {ended.returncode}'}")
    return ended.stdout
