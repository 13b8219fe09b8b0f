from __future__ import annotations

import json
import os
import pty
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from ritz.storage import runs
from ritz.storage.store import Store
from tests.command import RITZ, SMALL, TINY, ritz, started

TinyStore = tuple[Path, dict[str, Any]]


def test_without_a_terminal_a_run_writes_plain_lines(tiny_store: TinyStore) -> None:
    lines = tiny_store[0].with_name("log.txt").read_text().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d \w+: ", line) for line in lines), lines
    said = [line[9:] for line in lines]
    assert {"solve: 0 of 160", "solve: 160 of 160", "train: 0 of 96"} <= set(said)
    assert any(re.fullmatch(r"train: 96 of 96, loss [0-9.]+", line) for line in said)
    assert said[-1] == f"report: {tiny_store[1]['paths']['report']}"


def test_the_same_command_again_has_nothing_to_do(tiny_store: TinyStore) -> None:
    store, record = tiny_store
    done = ritz("run", TINY, "--store", str(store), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == record
    assert done.stderr == f"nothing to do: run {record['run']} has done all of it\n"


def _in_terminal(*command: str, columns: int, env: dict[str, str]) -> tuple[int, str]:
    """Run a command in a pseudo-terminal; return its exit code and what the terminal got, without its colours."""
    ours, theirs = pty.openpty()
    ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with started(*command, **ends, env=env | {"TERM": "xterm", "COLUMNS": str(columns)}) as process:
        os.close(theirs)
        seen = b""
        # The last of the processes that have the terminal open ends it: reading fails on Linux, is empty elsewhere.
        with suppress(OSError):
            while some := os.read(ours, 65536):
                seen += some
        os.close(ours)
        code = process.wait(60)
    return code, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()).replace("\r", "\n")


def test_a_terminal_gets_bars_and_a_table_and_a_model_that_misses_its_gate_exit_code_1(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    store = tmp_path / "store"
    command = [RITZ, "run", SMALL, "--set", "gate.relative_l2=1.0e-6", "--store", str(store)]
    code, seen = _in_terminal(*command, columns=160, env=environment)
    assert code == 1
    assert re.search(r"solve +━+ 40/40 ", seen)
    assert re.search(r"train +━+ 12/12 [0-9:]+ loss ", seen)
    assert "small@v1 is not released: mean relative L2" in seen
    [record] = runs.look(Store(store)).good
    *_, table = re.split(r"\n(?=dataset )", seen)
    lines = [line.rstrip() for line in table.splitlines() if line.strip()]
    assert [line[:13].strip() for line in lines[:11]] == [
        *("dataset", "model", "relative L2", "baselines", "90 % bands"),
        *("residual", "solver", "training", "break-even", "time", "run"),
    ]
    assert lines[1].split(maxsplit=1)[1] == "small@v1, not released"
    assert lines[11:] == [f"report {record['paths']['report']}", f"store  {store}"]
