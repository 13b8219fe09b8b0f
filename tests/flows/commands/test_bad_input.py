from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from ritz.storage.store import Store
from tests.command import TINY, inside, ritz

TinyStore = tuple[Path, dict[str, Any]]


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
    twin = folder / "twin" / Path(TINY).name
    twin.parent.mkdir()
    twin.write_text("name: tiny\n")
    with socket.socket() as nobody:
        # Bound and not listening: the port is taken, and nobody answers.
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        (folder / "gone.yaml").write_text(f"kind: attach\naddress: {address}\ntimeout: 2\n")
        yield {
            "recipe": TINY,
            "twin": str(twin),
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
    "unknown recipe": ("run nobody --store {new}", "recipe 'nobody' is unknown; expected one of acoustic"),
    "unknown profile": (
        "run {recipe} --profile cloud --store {new}",
        "profile 'cloud' is unknown; expected one of attach, kubernetes, local",
    ),
    "nobody answers": (
        "run {recipe} --profile {gone} --store {new}",
        "profile.address: no Dask scheduler answered at '{address}' within 2 s; expected the address",
    ),
    "store below a file": ("run {recipe} --store {below_file}", "{below_file}/runs: Not a directory"),
    "another recipe's name": (
        "run {recipe} --set data.seed=5 --store {store}",
        "dataset 'tiny' in {store} is made by another recipe: data.seed is 0 there and 5 here; "
        "name a new one, e.g. --set name=tiny-2",
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
        "{grid}, variable 'a': its 8 points along 'x' run from 0.03125 to 0.46875; expected an even grid of the box",
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
    "no cron expression": (
        "run {recipe} --set schedule.cron=daily --store {new}",
        "schedule.cron: expected a cron expression, e.g. '0 3 * * *' (got 'daily')",
    ),
    "serve two files of one name": (
        "serve --recipe {recipe} --recipe {twin} --store {new}",
        "recipes '{recipe}' and '{twin}' would both be served as ritz/tiny; rename one of the files",
    ),
    "serve an unknown recipe": ("serve --recipe nobody --store {new}", "recipe 'nobody' is unknown"),
    "profile without address": ("run {recipe} --profile attach --store {new}", "--profile attach:tcp://"),
    "dataset below a file": ("generate {recipe} --store {below_file}", "{below_file}/datasets/tiny: Not a directory"),
    "store elsewhere": ("run {recipe} --store ftp://host/store", "store 'ftp://host/store': expected a folder"),
    "datasets below a file": ("datasets --store {below_file}", "cannot list {below_file}/datasets"),
    "generate under another's name": ("generate {recipe} --set data.seed=5 --store {store}", "made by another recipe"),
    "train on an unknown version": (
        "train {recipe} --dataset tiny@v9 --store {store}",
        "dataset 'tiny' has no version 'v9'; there are: v1",
    ),
    "evaluate on an unknown dataset": ("evaluate tiny --dataset nobody --store {store}", "dataset 'nobody': not in"),
    "quantify on an unknown version": ("quantify tiny --dataset tiny@v9 --store {store}", "no version 'v9'"),
    "solves without a law": (
        "quantify tiny --dataset tiny --solves 20 --store {store}",
        "--solves is 20 without --law, expected the law too",
    ),
    "a law of other dimensions": (
        'quantify tiny --dataset tiny --law {{"shape":[8,8]}} --store {store}',
        "--law: its fields have the shapes {{'a': (1, 8, 8), 'u': (1, 8, 8)}}, expected",
    ),
    "too few solves of a law": (
        'quantify tiny --dataset tiny --law {{"sigma":1.5}} --solves 10 --store {store}',
        "--solves is 10, expected 19 to 10000: the highest of uncertainty.levels, 0.95, asks for them",
    ),
    "bands of an unknown law": (
        "predict tiny --input {good} --output {output} --bands rough --store {store}",
        "model tiny@v1 has no bands of a law 'rough', there are: none; `ritz quantify tiny@v1 --dataset NAME --law",
    ),
    "certify to nothing": (
        "predict tiny --input {good} --output {output} --certify 0 --store {store}",
        "--certify is 0, expected a true relative residual above 0 and below 1, such as 1e-8",
    ),
    "certify beyond float64": (
        "predict tiny --input {good} --output {output} --certify 1e-18 --store {store}",
        "--certify is 1e-18, expected at least .*: in float64 rounding alone leaves such a residual in fields",
    ),
    "keep what is not certified": (
        "predict tiny --input {good} --output {output} --keep mine --store {store}",
        "--keep is 'mine' without --certify, expected --certify RTOL too",
    ),
    "keep as a dataset that is there": (
        "predict tiny --input {good} --output {output} --certify 1e-8 --keep tiny --store {store}",
        "dataset 'tiny' is in {store} already, and --keep makes a new one; set another name, e.g. --keep tiny-2",
    ),
    "audit an unknown dataset": ("audit nobody --store {store}", "dataset 'nobody': not in {store}; there are: tiny"),
    "audit an unknown version": ("audit tiny@v9 --store {store}", "has no version 'v9'; there are: v1"),
    "audit a store below a file": ("audit tiny --store {below_file}", "{below_file}"),
    "regenerate an unknown sample": (
        "regenerate tiny@v1 --sample 160 --store {store}",
        "sample 160 is not in dataset tiny@v1: it has 160 samples, from 0 to 159",
    ),
    "regenerate of an unknown version": ("regenerate tiny@v9 --sample 0 --store {store}", "no version 'v9'"),
    "show an unknown version": ("show tiny@v9 --store {store}", "no version 'v9'; there are: v1"),
    "compare an unknown recipe": ("compare online-offline nobody --store {new}", "recipe 'nobody' is unknown"),
    "compare too few": (
        "compare online-offline {recipe} --samples 15 --store {new}",
        "--samples 15 is below training.watermark = 16: online training at equal solves would never start",
    ),
    "compare below a file": ("compare online-offline {recipe} --store {below_file}", "{below_file}"),
    "not positive": (
        "predict tiny --input {negative} --output {output} --store {store}",
        "variable 'a': holds values ≤ 0; expected positive ones",
    ),
    "no input file": ("predict tiny --input nobody.nc --output {output} --store {store}", "nobody.nc: no such file"),
    "output of another kind": ("predict tiny --input {good} --output u.csv --store {store}", "u.csv: .* ends in .nc"),
}
"""More of them, tried in this process, which costs no imports."""


@pytest.fixture(scope="module")
def answers(places: dict[str, str]) -> dict[str, subprocess.CompletedProcess[str]]:
    """What `ritz` answered to each case; a few processes at a time, since most of it is waiting for imports."""

    def commands(cases: dict[str, tuple[str, str]]) -> list[list[str]]:
        return [[part.format(**places) for part in arguments.split()] for arguments, _ in cases.values()]

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda command: ritz(*command), commands(REFUSED)))
    done += [inside(*command) for command in commands(ALSO_REFUSED)]
    return dict(zip([*REFUSED, *ALSO_REFUSED], done, strict=True))


@pytest.mark.parametrize("case", [*REFUSED, *ALSO_REFUSED])
def test_bad_input_gets_one_message_and_exit_code_2(
    case: str, answers: dict[str, subprocess.CompletedProcess[str]], places: dict[str, str]
) -> None:
    done = answers[case]
    _, said = (REFUSED | ALSO_REFUSED)[case]
    expected = ".*".join(re.escape(part) for part in said.format(**places).split(".*"))
    assert re.search(expected, done.stderr), done.stderr
    # What takes long to find out is said after a line that the command is at work.
    lines = [line for line in done.stderr.splitlines() if not re.match(r"\d\d:\d\d:\d\d (start|work): ", line)]
    assert len(lines) == 1
    assert lines[0].startswith("ritz: ")
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
