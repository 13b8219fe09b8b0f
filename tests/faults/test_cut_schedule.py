"""Twenty minutes of cut networks and signals to a cluster on several hosts; afterwards nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from ritz.storage import runs
from ritz.storage.store import Store
from ritz.tasks.documents.records import VANISHED
from tests.command import RITZ, SMALL, started
from tests.faults import outside
from tests.faults.blows import KILL
from tests.faults.hosts import Hosts, standing
from tests.faults.processes import alive
from tests.faults.troubles import Trouble
from tests.patience import until
from tests.require import require

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

SAMPLES = 480

SEED = 19

WORKERS = {"first": "solve", "second": "solve", "trainer": "train"}

SCHEDULE = [
    *(Trouble(victim, "blink") for victim in ("first", "trainer", "scheduler", "driver")),
    *(Trouble(victim, "cut") for victim in ("first", "second", "trainer", "trainer", "scheduler", "driver")),
    *(Trouble(victim, "mute") for victim in ("first", "trainer", "scheduler", "driver")),
    *(Trouble(victim, "kill") for victim in ("first", "trainer", "scheduler", "scheduler", "driver")),
    *(Trouble(victim, "stop") for victim in ("second", "trainer", "scheduler", "scheduler", "driver")),
]

ENDS_THE_RUN = {("scheduler", sort) for sort in ("cut", "mute", "kill")} | {
    ("driver", sort) for sort in ("cut", "mute", "kill")
}
"""After which a command may end without its work done; the same command then goes on."""

GONE = "is gone; what is committed is kept, the same command goes on from there when it is back"

NONE_THERE = "profile.address: no Dask scheduler answered at "
"""What a command says that was cut off before it had found its cluster."""

AT_ONCE = 2
"""Most troubles of one run."""

WITHIN = 6.0
"""Most seconds from the creation of the dataset to a trouble, and from one to the next: about what the work takes."""

ATTEMPTS = 5


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The recipe `SMALL` with shards enough to be hit between two of them."""
    path = tmp_path_factory.mktemp("recipe") / "small.yaml"
    text = Path(SMALL).read_text()
    assert "samples: 40," in text
    path.write_text(text.replace("samples: 40,", f"samples: {SAMPLES},"))
    return str(path)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    require("root", "iproute2")
    with standing(tmp_path_factory.mktemp("hosts"), WORKERS, ("driver",)) as running:
        yield running


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line at once, so that a schedule can be followed."""
    begun = time.monotonic()

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"{time.monotonic() - begun:6.1f} s  {line}", flush=True)

    return tell


def test_a_run_ends_right_whichever_host_is_cut_off(tmp_path: Path, recipe: str, hosts: Hosts, told: Any) -> None:
    drawn, deck = random.Random(SEED), list(SCHEDULE)
    drawn.shuffle(deck)
    command = Command(recipe, tmp_path, hosts, told)
    assert command.once(tmp_path / "clean", [], drawn) == 0
    clean = whole(tmp_path / "clean")
    number = 0
    while deck:
        number += 1
        store, before = tmp_path / f"store-{number}", len(deck)
        for _ in range(ATTEMPTS):
            if command.once(store, deck, drawn) == 0:
                break
        else:
            pytest.fail(f"{store}: not complete after {ATTEMPTS} commands")
        *others, last = records(store)
        assert last["status"] == "finished"
        for record in others:
            if record["status"] != "failed" or not (record["error"] == VANISHED or GONE in record["error"]):
                command.fault(f"{store}: the record says {record['status']}: {record['error']}")
        assert whole(store) == clean
        told(f"{store.name}: {before - len(deck)} troubles, complete, every bit as in the clean run")
    assert not command.faults


class Command:
    """`ritz run` of a recipe on a host of its own, with a Prefect server of its own each time."""

    def __init__(self, recipe: str, folder: Path, hosts: Hosts, told: Callable[[str], None]) -> None:
        self.recipe, self.folder, self.hosts, self.told = recipe, folder, hosts, told
        self.environment = os.environ | {"PREFECT_HOME": str(folder / "prefect")}
        self.faults: list[str] = []
        self.settled = True

    def once(self, store: Path, deck: list[Trouble], drawn: random.Random) -> int:
        """Start it, with some troubles of the deck; return how it ended."""
        said, errors = self.folder / "said.json", self.folder / "errors.txt"
        arguments = (RITZ, "run", self.recipe, "--store", str(store), "--profile", self.hosts.profile, "--json")
        command = self.hosts.by_name["driver"].command(*arguments)
        # Those that were cut off last time are to be back.
        until(
            lambda: self.hosts.processes("scheduler") and all(len(self.hosts.processes(name)) > 1 for name in WORKERS)
        )
        parts = self._parts()
        with (
            said.open("w") as stdout,
            errors.open("w") as stderr,
            started(*command, stdout=stdout, stderr=stderr, env=self.environment) as process,
        ):
            driver, struck = psutil.Process(process.pid), list[Trouble]()
            family: set[psutil.Process] = set()

            def over() -> bool:
                if process.poll() is None:
                    family.update(driver.children(recursive=True))
                return process.returncode is not None

            def at_work() -> bool:
                return over() or any((store / "datasets" / "small").glob("refs/*"))

            until(at_work)
            begun = time.monotonic()
            for _ in range(drawn.randint(1, AT_ONCE)):
                moment = time.monotonic() + drawn.uniform(0, WITHIN)
                while time.monotonic() < moment and not over():
                    time.sleep(0.05)
                if not deck or over():
                    break
                trouble = deck.pop()
                struck.append(trouble)
                of = [driver] if trouble.victim == "driver" else until(partial(self.hosts.processes, trouble.victim))
                self.told(f"{trouble.text()} ({time.monotonic() - begun:.1f} s after the dataset was there)")
                trouble.strike(self.hosts.by_name[trouble.victim], of, over, drawn)
            until(over)
            took = time.monotonic() - begun
            until(lambda: not [child for child in family if alive(child)])
        code, text = process.returncode, errors.read_text()
        self.told(f"{', '.join(each.text() for each in struck) or 'no trouble'}: ended with {code} after {took:.1f} s")
        if "Traceback" in text:
            self.fault(f"a traceback: {text}")
        if code == 0:
            assert json.loads(said.read_text())["status"] == "finished"
        elif code == -KILL and Trouble("driver", "kill") in struck:
            pass
        elif not ENDS_THE_RUN & set(struck) or not any(line in text for line in (GONE, NONE_THERE)):
            self.fault(f"{struck} ended with {code}: {text}")
        short = all(trouble.sort in ("blink", "stop") for trouble in struck)
        if self.settled and short and self._parts() != parts:
            self.fault(f"{struck}: what was away for an instant was taken for dead")
        # What was lost with a longer one may come back while the next run is on its way.
        self.settled = short and code == 0
        return code

    def fault(self, text: str) -> None:
        """Go on to the end of the schedule, and fail there."""
        self.faults.append(text)
        self.told(f"FAULT: {text}")

    def _parts(self) -> dict[str, set[psutil.Process]]:
        return {name: set(self.hosts.processes(name)) for name in ("scheduler", *WORKERS)}


def records(store: Path) -> list[dict[str, Any]]:
    """Return the records of all runs, oldest first."""
    return runs.look(Store(store)).good if store.exists() else []


def whole(store: Path) -> dict[str, Any]:
    """Return what an outside script finds of a dataset that has every sample once."""
    found = outside.seen(store, "small")
    assert (found["versions"], found["ids"]) == (["v1"], list(range(SAMPLES)))
    # How long a sample took is the one thing that two runs differ in.
    del found["digests"]["seconds"]
    return found
