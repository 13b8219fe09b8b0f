from __future__ import annotations

import io
import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import xarray as xr
from typer.main import get_command
from typer.testing import CliRunner

from flows.cli import app, main
from storage import runs
from storage.store import Store
from tasks.recipes import names
from tests.command import RITZ, SMALL, TINY, ritz, started

TinyStore = tuple[Path, dict[str, Any]]

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


def test_version() -> None:
    done = ritz("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"ritz {version('ritz')}\n", "")


def test_every_command_is_there() -> None:
    stages = {"run", "generate", "train", "evaluate", "quantify", "predict"}
    assert set(COMMANDS) == stages | {"serve", "trigger", "recipes", "datasets", "models", "runs", "show"}


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)], ids=" ".join)
def test_help_has_an_example(command: list[str]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert f"Example: ritz {' '.join(command)}" in shown.stdout


def test_help_without_a_command_lists_them() -> None:
    done = ritz("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", [["--help"], ["recipes", "--json"]], ids=" ".join)
def test_looking_around_loads_nothing_heavy(command: list[str]) -> None:
    program = (
        "import sys\n"
        "from flows.cli import main\n"
        f"sys.argv = ['ritz', *{command!r}]\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = {'torch', 'neuralop', 'prefect', 'matplotlib', 'sklearn', 'icechunk'}\n"
        "    sys.stderr.write('loaded: ' + ' '.join(sorted(heavy & set(sys.modules))))\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert done.stdout
    assert done.stderr == "loaded: "


# What is refused.


def _fields(path: Path, change: Callable[[xr.Dataset], xr.Dataset] = lambda given: given) -> str:
    centres = (np.arange(16) + 0.5) / 16
    given = xr.Dataset(
        {"a": (("sample", "y", "x"), np.ones((2, 16, 16), np.float32))}, coords={"y": centres, "x": centres}
    )
    change(given).to_netcdf(path, engine="h5netcdf")
    return str(path)


def _with(value: float) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda given: given.where(given["x"] < 0.9, np.float32(value))


@pytest.fixture(scope="module")
def places(tiny_store: TinyStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What stands for {word} in the arguments of `REFUSED`."""
    folder = tmp_path_factory.mktemp("refused")
    (folder / "no.yaml").write_text("name: [tiny\n")
    (folder / "file").write_text("")
    with socket.socket() as nobody:
        # Bound and not listening: the port is taken, and nobody answers.
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        (folder / "gone.yaml").write_text(f"kind: attach\naddress: {address}\ntimeout: 2\n")
        yield {
            "recipe": TINY,
            "no_yaml": str(folder / "no.yaml"),
            "gone": str(folder / "gone.yaml"),
            "address": address,
            "port": address.rpartition(":")[2],
            "below_file": str(folder / "file" / "store"),
            "store": str(tiny_store[0]),
            "new": str(folder / "new"),
            "good": _fields(folder / "good.nc"),
            "missing": _fields(folder / "missing.nc", lambda given: given.rename(a="b")),
            "grid": _fields(folder / "grid.nc", lambda given: given.isel(x=slice(8))),
            "nan": _fields(folder / "nan.nc", _with(np.nan)),
            "negative": _fields(folder / "negative.nc", _with(-1.0)),
            "output": str(folder / "output.nc"),
        }


REFUSED: dict[str, tuple[str, str]] = {
    "unknown key": (
        "run {recipe} --set problem.shap=[8,8] --store {new}",
        "ritz: recipe '{recipe}': problem.shap: there is no such field, expected one of kind, shape, law",
    ),
    "wrong type": (
        "run {recipe} --set data.samples=many --store {new}",
        "data.samples: Input should be a valid integer",
    ),
    "negative size": ("run {recipe} --set problem.shape=[8,-8] --store {new}", "problem.shape.1: .* (got -8)"),
    "probability over 1": ("run {recipe} --set uncertainty.levels=[0.5,1.5] --store {new}", "levels.1: .* (got 1.5)"),
    "no multiple of the shard": (
        "generate {recipe} --set data.samples=161 --store {new}",
        "samples = 161 is no multiple of shard = 8; the nearest that are: 160 or 168",
    ),
    "not YAML": ("run {no_yaml} --store {new}", "ritz: recipe '{no_yaml}' is not YAML: .*, line 2, column 1"),
    "unknown recipe": ("run nobody --store {new}", "recipe 'nobody' is unknown; expected one of darcy"),
    "unknown profile": (
        "run {recipe} --profile cloud --store {new}",
        "profile 'cloud' is unknown; expected one of attach, local",
    ),
    "nobody answers": (
        "run {recipe} --profile {gone} --store {new}",
        "profile.address: no Dask scheduler answered at '{address}' within 2 s; expected the address",
    ),
    "store below a file": ("run {recipe} --store {below_file}", "{below_file}/runs: Not a directory"),
    "another recipe's name": (
        "run {recipe} --set data.seed=5 --store {store}",
        "dataset 'tiny' in {store} is made by another recipe: name a new one, e.g. --set name=tiny-2",
    ),
    "train on an unknown dataset": (
        "train {recipe} --dataset nobody --store {store}",
        "dataset 'nobody': not in {store}; there are: tiny",
    ),
    "evaluate an unknown model": (
        "evaluate nobody --dataset tiny --store {store}",
        "model 'nobody': not in {store}; there are: tiny",
    ),
    "quantify an unknown version": (
        "quantify tiny@v9 --dataset tiny --store {store}",
        "model 'tiny' has no version 'v9'; there are: v1",
    ),
    "show nobody": ("show nobody --store {store}", "there is no dataset, model or run 'nobody' in {store}"),
    "missing variable": (
        "predict tiny --input {missing} --output {output} --store {store}",
        "{missing}, variable 'a': missing; expected the inputs of the model, the file has 'b'",
    ),
    "wrong grid": (
        "predict tiny --input {grid} --output {output} --store {store}",
        "{grid}, variable 'a': has 8 points along 'x'; the model is for 16",
    ),
    "NaN": ("predict tiny --input {nan} --output {output} --store {store}", "variable 'a': holds NaN or infinite"),
    "unknown model": ("predict nobody --input {good} --output {output} --store {store}", "model 'nobody': not in"),
}
"""Arguments, and what must be said: the cases that are tried as processes of their own."""

ALSO_REFUSED: dict[str, tuple[str, str]] = {
    "too few to calibrate": (
        "run {recipe} --set data.samples=80 --store {new}",
        "12 samples of the split 'calibrate'; expected at least 19",
    ),
    "no assignment": ("run {recipe} --set data.samples --store {new}", "expected PATH=VALUE"),
    "no such recipe file": ("generate nobody.yaml --store {new}", "recipe 'nobody.yaml': no such file"),
    "bad value for a trigger": ("trigger {recipe} --set training.batch_size=-1", "training.batch_size: .* (got -1)"),
    "nobody serves": (
        "trigger {recipe} --port {port}",
        "no Prefect server answers at http://127.0.0.1:{port}/api; start `ritz serve`, or set PREFECT_API_URL",
    ),
    "serve an unknown recipe": ("serve --recipe nobody --store {new}", "recipe 'nobody' is unknown"),
    "profile without address": ("run {recipe} --profile attach --store {new}", "--profile attach:tcp://"),
    "dataset below a file": ("generate {recipe} --store {below_file}", "cannot write {below_file}: Not a directory"),
    "store elsewhere": ("run {recipe} --store ftp://host/store", "store 'ftp://host/store': expected a folder"),
    "datasets below a file": ("datasets --store {below_file}", "cannot list {below_file}/datasets"),
    "generate under another's name": ("generate {recipe} --set data.seed=5 --store {store}", "made by another recipe"),
    "train on an unknown version": (
        "train {recipe} --dataset tiny@v9 --store {store}",
        "dataset 'tiny' has no version 'v9'; there are: v1",
    ),
    "evaluate on an unknown dataset": ("evaluate tiny --dataset nobody --store {store}", "dataset 'nobody': not in"),
    "quantify on an unknown version": ("quantify tiny --dataset tiny@v9 --store {store}", "no version 'v9'"),
    "show an unknown version": ("show tiny@v9 --store {store}", "no version 'v9'; there are: v1"),
    "not positive": (
        "predict tiny --input {negative} --output {output} --store {store}",
        "variable 'a': holds values ≤ 0; expected positive ones",
    ),
    "no input file": ("predict tiny --input nobody.nc --output {output} --store {store}", "nobody.nc: no such file"),
    "output of another kind": ("predict tiny --input {good} --output u.csv --store {store}", "u.csv: .* ends in .nc"),
}
"""More of them, tried in this process, which costs no imports."""


def _inside(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Do what `tests.command.ritz` does, in this process."""
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with (
        redirect_stdout(stdout),
        redirect_stderr(stderr),
        patch.object(sys, "argv", ["ritz", *arguments]),
        patch.dict(os.environ),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture(scope="module")
def answers(places: dict[str, str]) -> dict[str, subprocess.CompletedProcess[str]]:
    """What `ritz` answered to each case; a few processes at a time, since most of it is waiting for imports."""

    def commands(cases: dict[str, tuple[str, str]]) -> list[list[str]]:
        return [[part.format(**places) for part in arguments.split()] for arguments, _ in cases.values()]

    with ThreadPoolExecutor(3) as pool:
        outside = list(pool.map(lambda command: ritz(*command), commands(REFUSED)))
    inside = [_inside(*command) for command in commands(ALSO_REFUSED)]
    return dict(zip([*REFUSED, *ALSO_REFUSED], outside + inside, strict=True))


@pytest.mark.parametrize("case", [*REFUSED, *ALSO_REFUSED])
def test_bad_input_gets_one_message_and_exit_code_2(
    case: str, answers: dict[str, subprocess.CompletedProcess[str]], places: dict[str, str]
) -> None:
    done = answers[case]
    _, said = (REFUSED | ALSO_REFUSED)[case]
    expected = ".*".join(re.escape(part) for part in said.format(**places).split(".*"))
    assert re.search(expected, done.stderr), done.stderr
    assert done.stderr.startswith("ritz: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert done.returncode == 2


def test_bad_input_leaves_nothing_behind(
    answers: dict[str, subprocess.CompletedProcess[str]], places: dict[str, str], tiny_store: TinyStore
) -> None:
    assert len(answers) == len(REFUSED) + len(ALSO_REFUSED)
    assert not Path(places["new"]).exists()
    assert not Path(places["output"]).exists()
    assert Path(places["below_file"]).parent.is_file()
    store = Store(tiny_store[0])
    assert [store.list(folder) for folder in ("datasets", "models", "runs")] == [
        ["tiny"],
        ["tiny"],
        [tiny_store[1]["run"]],
    ]
    assert len(store.list("fits")) == 1


@pytest.mark.parametrize("command", ["run", "nobody", "train darcy", "predict tiny", "run darcy --port 1"])
def test_a_command_that_is_incomplete_is_refused_with_its_usage(command: str) -> None:
    shown = CliRunner().invoke(app, command.split())
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert "Usage: " in shown.stderr


# What is listed.


def _document(*arguments: str, command: Callable[..., subprocess.CompletedProcess[str]] = _inside) -> Any:
    done = command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_recipes_as_json() -> None:
    found = _document("recipes", command=ritz)
    assert [row["recipe"] for row in found] == names()
    assert found[0] == {
        "recipe": "darcy",
        "problem": "darcy",
        "samples": 1024,
        "solver": "auto",
        "surrogate": "fno",
        "schedule": None,
    }


def test_datasets_as_json(tiny_store: TinyStore) -> None:
    assert _document("datasets", "--store", str(tiny_store[0]), command=ritz) == [
        {"dataset": "tiny", "version": "v1", "samples": 160, "done": 160, "failed": 0, "problem": "darcy"}
    ]


def test_models_as_json(tiny_store: TinyStore) -> None:
    assert _document("models", "--store", str(tiny_store[0]), command=ritz) == [
        {
            "model": "tiny",
            "version": "v1",
            "dataset": "tiny@v1",
            "surrogate": "fno",
            "mode": "online",
            "steps": 96,
            "released": True,
        }
    ]


def test_runs_as_json_are_whole_records_newest_last(tiny_store: TinyStore, tmp_path: Path) -> None:
    record = tiny_store[1]
    assert _document("runs", "--store", str(tiny_store[0]), command=ritz) == [record]
    for name, created in (("c", "2026-01-01"), ("a", "2026-01-02"), ("b", "2026-01-03")):
        runs.save(Store(tmp_path), name, record | {"run": name, "created": f"{created}T00:00:00+00:00"}, None)
    assert [found["run"] for found in _document("runs", "--store", str(tmp_path))] == ["c", "a", "b"]


def test_show_as_json(tiny_store: TinyStore) -> None:
    store, record = tiny_store
    found = _document("show", "tiny@v1", "--store", str(store), command=ritz)
    assert found["dataset"]["progress"] == {"done": 160, "failed": 0, "to_go": 0}
    assert found["dataset"]["chosen"] == {"version": "v1", "snapshot": record["dataset"]["snapshot"]}
    assert found["model"]["version"] == "tiny@v1"
    assert found["model"]["evaluation"]["metrics"] == record["metrics"]
    assert found["model"]["calibration"]["coverage"] == record["coverage"]
    assert _document("show", record["run"], "--store", str(store)) == {"run": record}


@pytest.mark.parametrize("command", ["datasets", "models", "runs"])
def test_listing_a_store_that_is_not_there_makes_none(command: str, tmp_path: Path) -> None:
    store = tmp_path / "nowhere"
    assert _document(command, "--store", str(store)) == []
    assert not store.exists()


def test_listings_for_people_have_a_row_each(tiny_store: TinyStore) -> None:
    done = _inside("runs", "--store", str(tiny_store[0]))
    header, row = done.stdout.splitlines()
    assert header.split() == ["run", "status", "dataset", "model", "relative", "L2", "seconds"]
    error = f"{tiny_store[1]['metrics']['relative_l2']['mean']:.4f}"
    assert row.split()[:5] == [tiny_store[1]["run"], "finished", "tiny@v1", "tiny@v1", error]


def test_the_store_may_come_from_the_environment(tiny_store: TinyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITZ_STORE", str(tiny_store[0]))
    assert [row["dataset"] for row in _document("datasets")] == ["tiny"]


# What a run says.


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
    assert done.stderr == f"nothing to do: run {record['run']} made all of it\n"


def _in_terminal(*command: str, columns: int) -> tuple[int, str]:
    """Run a command in a pseudo-terminal; return its exit code and what the terminal got, without its colours."""
    ours, theirs = pty.openpty()
    ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with started(*command, **ends, env=os.environ | {"TERM": "xterm", "COLUMNS": str(columns)}) as process:
        os.close(theirs)
        seen = b""
        # The last of the processes that have the terminal open ends it: reading fails on Linux, is empty elsewhere.
        with suppress(OSError):
            while some := os.read(ours, 65536):
                seen += some
        os.close(ours)
        code = process.wait(60)
    return code, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()).replace("\r", "\n")


def test_a_terminal_gets_bars_and_a_table_and_a_model_that_misses_its_gate_exit_code_1(tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [RITZ, "run", SMALL, "--set", "gate.relative_l2=1.0e-6", "--store", str(store)]
    code, seen = _in_terminal(*command, columns=160)
    assert code == 1
    assert re.search(r"solve +━+ 40/40 ", seen)
    assert re.search(r"train +━+ 12/12 [0-9:]+ loss ", seen)
    assert "small@v1 is not released: mean relative L2" in seen
    [record] = _document("runs", "--store", str(store))
    *_, table = re.split(r"\n(?=dataset )", seen)
    lines = [line.rstrip() for line in table.splitlines() if line.strip()]
    assert [line[:13].strip() for line in lines[:10]] == [
        *("dataset", "model", "relative L2", "baselines", "90 % bands"),
        *("residual", "solver", "training", "time", "run"),
    ]
    assert lines[1].split(maxsplit=1)[1] == "small@v1, not released"
    assert lines[10:] == [f"report {record['paths']['report']}", f"store  {store}"]
