"""Forty signals to the processes of `ritz run` and `ritz serve`; afterwards a stranger finds what a clean run makes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from ritz.storage import runs
from ritz.storage.store import Store
from ritz.tasks.documents.records import VANISHED
from tests.command import RITZ, SMALL, started
from tests.faults import blows, outside
from tests.faults.blows import CONT, KILL, STOP, TERM, Blow
from tests.faults.processes import alive
from tests.faults.service import ENDED, Service, engines
from tests.patience import PATIENCE, until
from tests.served import free_port

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

SAMPLES = 240

SEED = 14

RUN = [
    *5 * [Blow("driver", (KILL,))],
    *3 * [Blow("driver", (TERM,))],
    *4 * [Blow("solver", (KILL,))],
    Blow("solver", (TERM,)),
    *3 * [Blow("trainer", (KILL,))],
    Blow("trainer", (TERM,)),
    *3 * [Blow("server", (KILL,))],
    Blow("server", (TERM,)),
    *2 * [Blow("server", (STOP, CONT))],
    Blow("server", (STOP, KILL)),
]
"""To `ritz run`, its workers and the Prefect server that it starts."""

SERVED = [
    *3 * [Blow("serve", (KILL,))],
    Blow("serve", (TERM,)),
    Blow("serve and its run", (KILL,)),
    *3 * [Blow("run", (KILL,))],
    Blow("run", (TERM,)),
    *2 * [Blow("server", (KILL,))],
    Blow("server", (TERM,)),
    Blow("server", (STOP, CONT)),
    Blow("server", (STOP, KILL)),
    Blow("solver", (KILL,)),
    Blow("trainer", (KILL,)),
]
"""To `ritz serve`, its server, the process of a run that was triggered, and the workers of that run."""

LEFT = {-KILL: "running", -TERM: "interrupted"}
"""What the record says of a run whose driver has ended so."""

AT_ONCE = 3
"""Most signals to one run."""

ATTEMPTS = 12
"""More commands than one store may need: each ends by a signal but the last."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The recipe `SMALL` with shards enough to be hit between two of them."""
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    text = Path(SMALL).read_text()
    assert "samples: 40," in text
    path.write_text(text.replace("samples: 40,", f"samples: {SAMPLES},"))
    return str(path)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line at once, so that a schedule can be followed."""
    begun = time.monotonic()

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"{time.monotonic() - begun:6.1f} s  {line}", flush=True)

    return tell


def test_a_run_ends_right_whichever_of_its_processes_gets_a_signal(tmp_path: Path, recipe: str, told: Any) -> None:
    drawn, deck, moment = random.Random(SEED), list(RUN), time.monotonic()
    drawn.shuffle(deck)
    command = Command(recipe, tmp_path, told)
    assert command.once(tmp_path / "clean", [], 0, drawn) == 0
    seconds = time.monotonic() - moment
    clean = whole(tmp_path / "clean")
    number = 0
    while deck:
        number += 1
        store, before = tmp_path / f"store-{number}", len(deck)
        for _ in range(ATTEMPTS):
            if command.once(store, deck, seconds, drawn) == 0:
                break
        else:
            pytest.fail(f"{store}: not complete after {ATTEMPTS} commands")
        *others, last = records(store)
        assert last["status"] == "finished"
        for record in others:
            assert (record["status"], record["error"]) in {
                ("failed", VANISHED),
                ("interrupted", "stopped from outside (SIGTERM)"),
            }
        assert whole(store) == clean
        told(f"{store.name}: {before - len(deck)} signals, complete, every bit as in the clean run")


class Command:
    """`ritz run` of a recipe, with a Prefect server of its own each time."""

    def __init__(self, recipe: str, folder: Path, told: Callable[[str], None]) -> None:
        self.recipe, self.folder, self.told = recipe, folder, told
        self.environment = os.environ | {"PREFECT_HOME": str(folder / "prefect")}

    def once(self, store: Path, deck: list[Blow], seconds: float, drawn: random.Random) -> int:
        """Start it, take some signals from the deck and send them; return how it ended."""
        before = {record["run"] for record in records(store)}
        said, errors = self.folder / "said.json", self.folder / "errors.txt"
        arguments = ("run", self.recipe, "--store", str(store), "--json")
        with (
            said.open("w") as stdout,
            errors.open("w") as stderr,
            started(RITZ, *arguments, stdout=stdout, stderr=stderr, env=self.environment) as process,
        ):
            family: set[psutil.Process] = set()
            sent = self._disturbed(process, family, deck, seconds, drawn)
            code = process.wait(PATIENCE)
            until(lambda: not [child for child in family if alive(child)])
        statuses = {record["status"] for record in records(store) if record["run"] not in before}
        self.told(f"{listed(sent)}: ended with {code}, {', '.join(statuses) or 'no new record'}")
        to_driver = [blow.signals[0] for blow in sent if blow.victim == "driver"]
        # A signal may come when the work is done.
        assert code in {0, *(-number for number in to_driver)}, errors.read_text()
        # Nobody can write into the record of a driver that is killed before the next one does.
        assert statuses <= {"finished", LEFT.get(code, "finished")}
        assert "Traceback" not in errors.read_text(), errors.read_text()
        if code == 0:
            assert json.loads(said.read_text())["status"] == "finished"
        return code

    def _disturbed(
        self,
        process: subprocess.Popen[str],
        family: set[psutil.Process],
        deck: list[Blow],
        seconds: float,
        drawn: random.Random,
    ) -> list[Blow]:
        """Send some signals, one to the driver at most; add the driver's processes to the family."""
        driver, sent = psutil.Process(process.pid), list[Blow]()

        def over() -> bool:
            if process.poll() is None:
                with suppress(psutil.NoSuchProcess):
                    family.update(driver.children(recursive=True))
            return process.returncode is not None

        for _ in range(drawn.randint(1, AT_ONCE)):
            if not deck:
                break
            victim = deck[-1].victim
            find = {
                "driver": lambda: [driver],
                "server": lambda: blows.server(driver),
                "solver": lambda: blows.workers(driver, "solver"),
                "trainer": lambda: blows.workers(driver, "trainer"),
            }[victim]
            # The driver is there from the start, the others for a part of the time.
            if not blows.struck(deck[-1], find, over, seconds if victim == "driver" else seconds / 2, drawn):
                break
            sent.append(deck.pop())
            if victim == "driver":
                break
        return sent


def test_a_served_run_ends_right_whichever_process_gets_a_signal(tmp_path: Path, recipe: str, told: Any) -> None:
    drawn, deck = random.Random(SEED), list(SERVED)
    drawn.shuffle(deck)
    service = Service(free_port(), tmp_path / "clean", tmp_path / "log.txt", tmp_path / "prefect", recipe)
    seconds = served(service, [], 0, drawn, told)
    clean = whole(service.store)
    number = 0
    while deck:
        number += 1
        service, before = replace(service, store=tmp_path / f"store-{number}"), len(deck)
        served(service, deck, seconds, drawn, told)
        assert whole(service.store) == clean
        told(f"{service.store.name}: {before - len(deck)} signals, complete, every bit as in the clean run")


def served(
    service: Service, deck: list[Blow], seconds: float, drawn: random.Random, told: Callable[[str], None]
) -> float:
    """Serve the recipe, trigger it until it is done and send signals meanwhile; return seconds of the last run."""
    with ExitStack() as stack:
        process = stack.enter_context(service.serving())
        for _ in range(ATTEMPTS):
            flow_run = service.trigger()["flow_run"]
            began = time.monotonic()
            sent, process = disturbed(service, flow_run, process, stack, deck, seconds, drawn)
            state = until(partial(ended, service, flow_run))
            told(f"{listed(sent)}: flow run {state}")
            if state == "COMPLETED":
                break
        else:
            pytest.fail(f"{service.store}: not complete after {ATTEMPTS} triggered runs; see {service.log}")
        took = time.monotonic() - began
        # Those too that a killed `ritz serve` left alone, and those that waited.
        until(lambda: (found := service.states()) and set(found.values()) <= ENDED)
        statuses = [record["status"] for record in records(service.store)]
        assert set(statuses) <= {"finished", "failed", "interrupted"}
        assert "finished" in statuses
        told(f"flow runs {sorted(service.states().values())}, runs {statuses}")
        process.terminate()
        assert process.wait(PATIENCE) == 0
    return took


def ended(service: Service, flow_run: str) -> str | None:
    """Return the type of the last state of a flow run, None before there is one."""
    state = service.states().get(flow_run)
    return state if state in ENDED else None


def disturbed(
    service: Service,
    flow_run: str,
    process: psutil.Process,
    stack: ExitStack,
    deck: list[Blow],
    seconds: float,
    drawn: random.Random,
) -> tuple[list[Blow], psutil.Process]:
    """Send some signals from the deck while a flow run is on its way; return which, and the latest `ritz serve`."""
    sent, next_look, at_work = list[Blow](), 0.0, list[psutil.Process]()

    def over() -> bool:
        nonlocal next_look
        # The server has other things to do than to answer all the time.
        if time.monotonic() < next_look:
            return False
        next_look = time.monotonic() + 1
        return ended(service, flow_run) is not None

    def find() -> list[psutil.Process]:
        at_work[:] = engines(process)
        if not at_work:
            return []
        match deck[-1].victim:
            case "run":
                return at_work
            case "server":
                return blows.server(process)
            case "solver" | "trainer" as role:
                return [worker for run in at_work for worker in blows.workers(run, role)]
            case _:
                return [process]

    for _ in range(drawn.randint(1, AT_ONCE)):
        if not deck or not blows.struck(deck[-1], find, over, seconds / 2, drawn):
            break
        blow = deck.pop()
        sent.append(blow)
        if blow.victim == "serve and its run":
            for run in at_work:
                run.kill()
        if blow.victim in ("serve", "serve and its run"):
            assert process.wait(PATIENCE) == (0 if blow.signals == (TERM,) else -KILL)
            process = stack.enter_context(service.serving())
    return sent, process


def records(store: Path) -> list[dict[str, Any]]:
    """Return the records of all runs, oldest first."""
    return runs.look(Store(store)).good if store.exists() else []


def listed(sent: list[Blow]) -> str:
    return ", ".join(blow.text() for blow in sent) or "no signal"


def whole(store: Path) -> dict[str, Any]:
    """Return what an outside script finds of a dataset that has every sample once."""
    found = outside.seen(store, "small")
    assert (found["versions"], found["ids"]) == (["v1"], list(range(SAMPLES)))
    # How long a sample took is the one thing that two runs differ in.
    del found["digests"]["seconds"]
    return found
