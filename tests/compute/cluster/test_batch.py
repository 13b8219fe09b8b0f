"""The jobs that batch systems are asked for, field by field, without a batch system."""

from __future__ import annotations

import shlex
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ritz.compute.cluster.batch import jobs as jobs_module
from ritz.compute.cluster.batch.batch import Batch, JobRole
from ritz.compute.cluster.batch.jobs import TRIES, Jobs
from ritz.compute.cluster.batch.leaving import LEAVES_AFTER
from ritz.compute.cluster.batch.pbs import Pbs, PbsRole
from ritz.compute.cluster.batch.pbs_queue import PbsQueue
from ritz.compute.cluster.batch.queue import BatchQueue, Unanswered
from ritz.compute.cluster.batch.request import JobRequest
from ritz.compute.cluster.batch.slurm import Slurm
from ritz.compute.cluster.batch.slurm_queue import SlurmQueue
from ritz.compute.cluster.batch.walltime import Lifetime, seconds
from ritz.compute.cluster.errors import ClusterError

ADDRESS = "tls://10.0.0.5:40001"


def script(profile: Batch, role: str, folder: Path) -> tuple[list[str], dict[str, str], list[str], list[str]]:
    """Return the directives of a job, its exports, its other lines, and the arguments of its worker."""
    lines = profile.system().job(ADDRESS, profile.request(role, f"{role}-0", folder)).job_script().splitlines()
    mark = "#SBATCH " if isinstance(profile, Slurm) else "#PBS "
    directives = [line.removeprefix(mark) for line in lines if line.startswith(mark)]
    exports = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
    others = [line for line in lines if line and not line.startswith(("#", "export "))]
    return directives, exports, others[:-1], shlex.split(others[-1])


def option(arguments: list[str], name: str) -> str:
    assert arguments.count(name) == 1
    return arguments[arguments.index(name) + 1]


def test_a_job_of_slurm_asks_for_what_the_profile_says(tmp_path: Path) -> None:
    profile = Slurm(
        solve=JobRole(count=8, threads=4, memory="6GiB"),
        train=JobRole(queue="gpu", walltime="08:00:00", directives=("--gres=gpu:1",), device="cuda"),
        walltime="02:00:00",
        queue="batch",
        account="p123",
        directives=("--constraint=ib",),
        prologue=("module load gcc",),
        interface="ib0",
        margin=120,
    )
    directives, exports, prologue, worker = script(profile, "solve", tmp_path)
    assert directives == [
        "-J ritz-solve",
        f"-e {tmp_path}/ritz-solve-%J.err",
        f"-o {tmp_path}/ritz-solve-%J.out",
        *("-p batch", "-A p123", "-n 1", "--cpus-per-task=4", "--mem=6G", "-t 02:00:00", "--constraint=ib"),
    ]
    assert {exports[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")} == {"4"}
    assert (exports["PYTHONSAFEPATH"], exports[LEAVES_AFTER]) == ("1", "7080")
    assert prologue == ["module load gcc"]
    assert worker[:5] == ["exec", sys.executable, "-m", "ritz.compute.cluster.program", ADDRESS]
    for name, value in {
        "--name": "solve-0",
        "--nthreads": "1",
        "--memory-limit": "6GiB",
        "--resources": "solve=1",
        "--lifetime": "6726s",
        "--lifetime-stagger": "354s",
        "--death-timeout": "60",
        "--interface": "ib0",
        "--protocol": "tls",
        "--tls-ca-file": f"{tmp_path}/ca.pem",
        "--tls-cert": f"{tmp_path}/cert.pem",
        "--tls-key": f"{tmp_path}/key.pem",
        "--dashboard-address": "127.0.0.1:0",
    }.items():
        assert option(worker, name) == value
    assert "--local-directory" not in worker, "the node chooses a folder of this user alone"

    directives, exports, _, worker = script(profile, "train", tmp_path)
    assert {"-p gpu", "-t 08:00:00", "--cpus-per-task=1", "--constraint=ib", "--gres=gpu:1"} <= set(directives)
    assert not [line for line in directives if line.startswith("--mem")], "what the queue gives"
    assert option(worker, "--memory-limit") == "auto"
    assert (option(worker, "--resources"), exports[LEAVES_AFTER]) == ("train=1", "28680")


def test_a_job_of_pbs_asks_for_what_the_profile_says(tmp_path: Path) -> None:
    profile = Pbs(
        solve=PbsRole(count=8, threads=4, memory="6GiB"),
        train=PbsRole(memory="10GB", resources="ngpus=1:gpu_type=a100", queue="gpu"),
        walltime="36:00:00",
        queue="batch",
        account="p123",
        directives=("-j oe",),
    )
    directives, exports, prologue, worker = script(profile, "solve", tmp_path)
    assert directives == [
        *("-N ritz-solve", "-q batch", "-A p123", "-l select=1:ncpus=4:mem=6144mb", "-l walltime=36:00:00"),
        *(f"-e {tmp_path}/", f"-o {tmp_path}/", "-j oe"),
    ]
    assert (exports["OMP_NUM_THREADS"], prologue) == ("4", [])
    assert (option(worker, "--nthreads"), option(worker, "--memory-limit")) == ("1", "6GiB")
    assert (option(worker, "--resources"), option(worker, "--tls-key")) == ("solve=1", f"{tmp_path}/key.pem")
    directives, _, _, worker = script(profile, "train", tmp_path)
    assert "-l select=1:ncpus=1:mem=9537mb:ngpus=1:gpu_type=a100" in directives
    assert "-q gpu" in directives
    bare, _, _, worker = script(Pbs(solve=PbsRole(memory="0")), "solve", tmp_path)
    assert [line for line in bare if line.startswith("-l")] == ["-l select=1:ncpus=1", "-l walltime=01:00:00"]
    assert option(worker, "--memory-limit") == "0"


def test_workers_leave_before_the_walltime_and_not_all_at_once() -> None:
    life = Lifetime.within("01:00:00", 60)
    assert life.mean + life.stagger == pytest.approx(life.latest) == 3540
    assert life.stagger == pytest.approx(177)
    assert seconds("100:00:00") == 360_000


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"walltime": "12h"}, "walltime.*expected hours, minutes and seconds such as '36:00:00' .got '12h'."),
        ({"walltime": "00:00:00"}, "expected hours, minutes and seconds"),
        ({"walltime": "00:01:00"}, "solve: margin is 60 s, expected less than the walltime 00:01:00"),
        ({"train": {"walltime": "00:00:30"}}, "train: margin is 60 s, expected less than the walltime 00:00:30"),
        ({"solve": {"device": "cuda"}}, "device is 'cuda', expected 'cpu'"),
        ({"prologue": ["a\nb"]}, "prologue.*expected one line per entry"),
    ],
)
def test_a_bad_field_is_refused_by_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match="(?s)" + said) as caught:
        Slurm.model_validate(fields)
    assert caught.value.error_count() == 1


def test_a_machine_without_the_commands_or_the_extra_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ClusterError, match="no program 'sbatch' on this machine; expected the commands of Slurm"):
        Slurm().check()
    with pytest.raises(ClusterError, match="no program 'qsub'"):
        Pbs().check()
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(
        ClusterError, match=r"^profile.kind: Slurm needs dask-jobqueue.*pip install 'ritz\[jobqueue\]'$"
    ):
        Slurm().check()


def test_an_interface_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlurmQueue, "check", lambda _: None)
    with pytest.raises(ClusterError, match=r"profile.interface: 'ib7' is not a valid network interface"):
        Slurm(interface="ib7").check()


def test_the_batch_systems_are_asked_which_jobs_they_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def program(name: str, text: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(stat.S_IRWXU)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    program("squeue", "printf '7|PENDING|Resources\\n8|RUNNING|None\\n9|COMPLETING|None\\n'")
    program("qselect", "printf '11.server\\n12.server\\n'")
    assert SlurmQueue().states() == {"7": "PENDING (Resources)", "8": "RUNNING (None)"}
    assert set(PbsQueue().states()) == {"11", "12"}
    program("squeue", "echo down for maintenance >&2; exit 1")
    with pytest.raises(Unanswered, match="squeue: down for maintenance"):
        SlurmQueue().states()


class Paper(BatchQueue):
    """A batch system on paper: its jobs end when the test says so."""

    name, programs = "paper", ()

    def __init__(self) -> None:
        self.there: dict[str, str] = {}
        self.submitted: list[str] = []

    def job(self, scheduler: str, request: JobRequest) -> Any:
        raise NotImplementedError

    def states(self) -> dict[str, str]:
        return dict(self.there)


class PaperJob:
    def __init__(self, queue: Paper, name: str, folder: Path) -> None:
        self.queue, self.name, self.log_directory, self.job_id = queue, name, str(folder), ""

    def start(self) -> None:
        self.job_id = str(len(self.queue.submitted))
        self.queue.submitted.append(self.name)
        self.queue.there[self.job_id] = "RUNNING"
        Path(self.log_directory, f"ritz-{self.job_id}.err").write_text("first\nno such module\n")


def test_jobs_that_end_before_their_workers_join_are_given_up_with_what_they_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "PAUSE", 0.0)
    queue = Paper()
    joined: set[str] = set()
    jobs = Jobs(queue, lambda _, name: PaperJob(queue, name, tmp_path), lambda start: start(), lambda: joined)
    jobs._submit("solve")
    for number in range(TRIES):
        assert not jobs.trouble("solve")
        del queue.there[str(number)]
        jobs._replace(queue.states())
    assert queue.submitted == ["solve-0", "solve-1", "solve-2"]
    assert jobs.trouble("solve") == (
        "3 jobs of the role 'solve' have ended before their workers joined; "
        f"job 2 wrote in {tmp_path / 'ritz-2.err'}: no such module"
    )
    assert not jobs.trouble("train")


def test_a_job_whose_worker_had_joined_is_replaced_at_once(tmp_path: Path) -> None:
    queue = Paper()
    jobs = Jobs(queue, lambda _, name: PaperJob(queue, name, tmp_path), lambda start: start(), lambda: {"solve-0"})
    jobs._submit("solve")
    queue.there.clear()
    for _ in range(2):
        jobs._replace(queue.states())
    assert queue.submitted == ["solve-0", "solve-1"]
    assert jobs.about("solve") == "1 job of paper for it: 1 RUNNING"
