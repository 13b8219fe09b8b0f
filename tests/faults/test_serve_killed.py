"""`ritz serve` is killed while a run is at work, with its run and without, and is started again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ritz.storage import runs
from ritz.storage.store import Store
from ritz.tasks.documents.records import VANISHED
from tests.faults.service import Service, engines
from tests.served import free_port


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("with_its_run", [True, False], ids=["serve and its run", "serve alone"])
def test_a_killed_service_goes_on_when_it_is_started_again(tmp_path: Path, with_its_run: bool) -> None:
    service = Service(free_port(), tmp_path / "store", tmp_path / "log.txt", tmp_path / "prefect")
    with service.serving() as process:
        service.trigger("--set", "training.seed=1")
        first = service.record("running")
        # Its run is in the group that is killed below, unless it is let go on.
        [run] = engines(process)
        process.kill()
        process.wait()
        if with_its_run:
            run.kill()
        with service.serving():
            second = service.trigger("--set", "training.seed=2", "--wait")
            assert second["state"] == "Completed", second
            if with_its_run:
                assert runs.load(Store(service.store), first["run"])["error"] == VANISHED
            else:
                assert service.record("finished")["run"] == second["run"]
                assert runs.load(Store(service.store), first["run"])["status"] == "finished"
            again = service.trigger("--set", "training.seed=1", "--wait")
            assert again["state"] == "Completed", again
