"""A Slurm of the tests' own on this machine: munged, slurmctld and slurmd as processes of the tests, on loopback."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

CONF = """\
ClusterName=ritz
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={port}
SlurmdPort={node_port}
AuthType=auth/munge
# A job that is requeued waits as long as its credential is valid: two minutes by default.
AuthInfo=socket={munge}/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
# Without these both daemons listen on all addresses.
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
MailProg=/bin/true
ReturnToService=2
# The node has more cores than this machine: most jobs of the tests wait.
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=100000
InactiveLimit=0
KillWait=5
MinJobAge=300
SlurmctldTimeout=30
SlurmdTimeout=30
Waittime=0
OverTimeLimit=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Run a Slurm with one node, and give the environment in which its commands reach it."""
    for name, mode in (("state", 0o700), ("spool", 0o700), ("log", 0o755)):
        (folder / name).mkdir(mode=mode)
    # munged asks that others can pass through all folders above its socket, whose name may have 107 characters.
    munge = Path(tempfile.mkdtemp(prefix="ritz-munge-"))
    munge.chmod(0o711)
    key = munge / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    port, node_port = _ports()
    conf = folder / "slurm.conf"
    places = {
        "host": socket.gethostname().partition(".")[0],
        "user": getpass.getuser(),
        "folder": folder,
        "munge": munge,
    }
    conf.write_text(CONF.format(**places, port=port, node_port=node_port))
    conf.chmod(0o644)
    environment = {**os.environ, "SLURM_CONF": str(conf)}
    files = [f"--{name}-file={munge}/munged.{name}" for name in ("pid", "log", "seed")]
    munged = ["/usr/sbin/munged", "--foreground", f"--key-file={key}", f"--socket={munge}/munge.sock"]
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, munge, ignore_errors=True)
        stack.enter_context(_process(folder, "munged", *munged, *files))
        _until((munge / "munge.sock").is_socket, folder)
        stack.enter_context(_process(folder, "slurmctld", "/usr/sbin/slurmctld", "-D", "-f", str(conf)))
        node = ("/usr/sbin/slurmd", "-D", "-f", str(conf), "-N", places["host"])
        stack.enter_context(_process(folder, "slurmd", *map(str, node)))
        _until(lambda: "idle" in command(environment, "sinfo", "-h", "-o", "%T", check=False), folder)
        try:
            yield environment
        finally:
            command(environment, "scancel", f"--user={places['user']}", check=False)
            _until(lambda: not command(environment, "squeue", "-h", check=False), folder)
            _end_left_over(str(conf))


def command(environment: dict[str, str], *arguments: str, check: bool = True) -> str:
    """Run a command of Slurm and return what it printed."""
    ended = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60)
    assert not check or ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def jobs(environment: dict[str, str], name: str = "") -> dict[str, str]:
    """Return the jobs that wait or run: number → name; those of one name where it is given."""
    lines = command(environment, "squeue", "-h", "-o", "%A %j %T").splitlines()
    found = {number: job for number, job, state in (line.split() for line in lines) if state != "COMPLETING"}
    return {number: job for number, job in found.items() if name in ("", job)}


def restarts(environment: dict[str, str], number: str) -> int:
    """Return how often a job was requeued."""
    return int(command(environment, "scontrol", "show", "job", number).partition("Restarts=")[2].split()[0])


def _end_left_over(conf: str) -> None:
    """Kill what jobs have left: this Slurm does not find processes that have left their session."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("SLURM_CONF") == conf and "SLURM_JOB_ID" in process.environ():
                process.kill()


@contextmanager
def _process(folder: Path, name: str, *arguments: str) -> Iterator[None]:
    with (folder / "log" / f"{name}.out").open("w") as out:
        process = subprocess.Popen(arguments, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _until(condition: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "\n".join(file.read_text() for file in (folder / "log").iterdir())
        time.sleep(0.05)
