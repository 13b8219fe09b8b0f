from __future__ import annotations

import os
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from ritz.flows.server import api
from ritz.flows.server.access import embedded, standing
from ritz.flows.server.api import ServerError, answers, local_url
from tests.command import started
from tests.faults.processes import children

pytestmark = pytest.mark.slow


@pytest.fixture
def silent() -> Iterator[str]:
    """API URL at a port that is taken, and where nobody listens."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield local_url(nobody.getsockname()[1])


def test_a_configured_server_that_does_not_answer_is_named(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", silent)
    said = f"PREFECT_API_URL: no Prefect server answers at '{silent}'"
    with pytest.raises(ServerError, match=said), embedded():
        pass
    with pytest.raises(ServerError, match=said), standing(0, silent):
        pass


@pytest.mark.parametrize(("code", "there"), [(200, True), (401, True), (403, True), (404, False), (500, False)])
def test_a_server_that_asks_for_a_key_is_one(code: int, there: bool) -> None:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code if self.path == "/api/health" else 500)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert answers(local_url(server.server_port)) == there
        thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    return tmp_path / "prefect"


PROGRAM = """
import logging, os, signal, stat, sys, time
from pathlib import Path
logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stdout)
import psutil
from ritz.flows.server import api
from ritz.flows.server.api import answers
from ritz.flows.server.access import embedded
from tests.faults.processes import children

home = Path(os.environ["PREFECT_HOME"])

def process():
    return next(iter(children(psutil.Process(), "ritz.flows.server.process")), None)

def another(than):
    # Waits until another server answers in the place of one.
    while (new := process()) in (None, than) or not answers(os.environ["PREFECT_API_URL"]):
        time.sleep(0.1)
    return new

def mode():
    return oct(stat.S_IMODE((home / "prefect.db").stat().st_mode))

with embedded():
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext
    from ritz.flows.launch import launch

    def ask():
        with get_client(sync_client=True) as client:
            return client.read_flow_run(FlowRunContext.get().flow_run.id).name

    @flow
    def work():
        {work}

    print("key in argv:", os.environ["PREFECT_API_AUTH_STRING"] in " ".join(process().cmdline()))
    print("came:", bool(launch(work)), mode())
    url = os.environ["PREFECT_API_URL"]
print("left:", "PREFECT_API_URL" in os.environ, "PREFECT_API_AUTH_STRING" in os.environ, answers(url))
# As `ritz` does: threads of Prefect's would look for the server once more.
sys.stdout.flush()
os._exit(0)
"""


def ran(work: str, home: Path) -> list[str]:
    """Run a flow in a process of its own, with a server of its own, and return what it printed."""
    program = PROGRAM.replace("{work}", work.strip().replace("\n", "\n        "))
    with started(sys.executable, "-c", program, env=os.environ | {"PREFECT_HOME": str(home)}) as process:
        stdout, stderr = process.communicate(timeout=240)
    assert (process.returncode, stderr) == (0, "")
    lines = stdout.splitlines()
    assert lines[0] == "key in argv: False"
    assert lines[-1] == "left: False False False"
    return lines[1:-1]


def test_a_server_that_dies_is_started_again_at_its_place(home: Path) -> None:
    found = ran(
        """
first = process()
first.kill()
# Asked while there is none.
name = ask()
second = another(first)
# The database is another one now, which knows nothing of this run.
(home / "prefect.db").unlink()
another(second)
return name
""",
        home,
    )
    assert found[:2] == [
        f"Prefect's server {end}; it is started again, and the run goes on"
        for end in ("was ended by SIGKILL", "has ended with code 1")
    ]
    assert found[2].startswith("Prefect's server did not record the end of this run: ")
    assert found[3:] == ["came: True 0o600"]


def test_a_server_that_is_killed_while_it_starts_is_started_again(home: Path) -> None:
    found = ran(
        """
first = process()
first.kill()
for number in (signal.SIGTERM, signal.SIGKILL):
    while (starting := process()) in (None, first):
        time.sleep(0.01)
    first = starting
    starting.send_signal(number)
another(first)
return ask()
""",
        home,
    )
    said = "Prefect's server was ended by SIGKILL; it is started again, and the run goes on"
    assert found == [*3 * [said], "came: True 0o600"]


def test_the_first_server_is_started_again_too(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    # The tests may have a server already, which is a child of this process too.
    before = children(psutil.Process(), "ritz.flows.server.process")

    def kill() -> None:
        while not (
            starting := [
                child for child in children(psutil.Process(), "ritz.flows.server.process") if child not in before
            ]
        ):
            time.sleep(0.01)
        starting[0].kill()

    thread = threading.Thread(target=kill)
    thread.start()
    with embedded():
        assert answers(os.environ["PREFECT_API_URL"])
    thread.join()
    assert caplog.messages == ["the Prefect server was ended by SIGKILL while it started; it is started again"]


@pytest.mark.soak
def test_a_run_whose_server_cannot_be_started_again_goes_on(home: Path) -> None:
    found = ran(
        """
for file in home.glob("prefect.db*"):
    file.unlink()
(home / "prefect.db").write_bytes(b"damaged " * 1000)
(home / "prefect.db").chmod(0o600)
process().kill()
while answers(os.environ["PREFECT_API_URL"]) or process():
    time.sleep(0.1)
return True
""",
        home,
    )
    assert found[0] == "Prefect's server was ended by SIGKILL; it is started again, and the run goes on"
    said = f"the Prefect server did not start: file is not a database; its database is {home / 'prefect.db'}"
    assert found[1] == f"{said}; the run goes on, and Prefect's history of it ends here"
    assert found[2].startswith("Prefect's server did not record the end of this run: ")
    assert found[3:] == ["came: True 0o600"]


@pytest.mark.soak
def test_a_server_that_falls_silent_is_started_again(home: Path) -> None:
    found = ran("process().send_signal(signal.SIGSTOP)\nreturn ask()", home)
    said = "Prefect's server has not answered for 20 s; it is started again, and the run goes on"
    assert found == [said, "came: True 0o600"]


def _no_database(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def _of_another_version(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("create table alembic_version (version_num varchar(32) not null)")
        database.execute("insert into alembic_version values ('ffffffffffff')")
    database.close()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_no_database, "file is not a database"),
        pytest.param(
            *(_of_another_version, "Can't locate revision identified by 'ffffffffffff'"), marks=pytest.mark.soak
        ),
    ],
)
def test_a_database_that_is_none_is_named_in_the_words_of_the_server(
    damage: Callable[[Path], None], said: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not in those of a module that somebody has put into the working directory."""
    for module in ("ritz", "prefect", "uvicorn"):
        (home.parent / f"{module}.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(home.parent)
    home.mkdir()
    damage(home / "prefect.db")
    with pytest.raises(ServerError, match=said) as caught, embedded():
        pass
    assert str(caught.value).startswith("the Prefect server did not start: ")
    assert str(home / "prefect.db") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_link_in_the_place_of_the_lock_is_neither_followed_nor_emptied(home: Path) -> None:
    home.mkdir()
    other = home.parent / "other.txt"
    other.write_text("kept")
    (home / "ritz-start.lock").symlink_to(other)
    with pytest.raises(ServerError, match=r"ritz-start\.lock cannot be opened .*; remove it"), embedded():
        pass
    assert other.read_text() == "kept"


def test_a_port_that_is_taken_by_what_is_no_server_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taken.settimeout(0)
        said = f"port {port} of this machine: Address already in use; give another --port"
        with pytest.raises(ServerError, match=said), standing(port, None):
            pass
