"""The whole of Ritz on a store in a bucket, and its credentials nowhere but in the environment."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import xarray as xr

from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role
from ritz.storage import models
from ritz.storage.backends.s3 import filesystem
from ritz.storage.datasets import Dataset
from ritz.storage.reading import read
from ritz.storage.store import Store
from tests import attached
from tests.bucket import KEY, SECRET, settings
from tests.command import SMALL, inside, ritz

pytestmark = pytest.mark.slow

URL = "s3://ritz-whole/team"

Command = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def said() -> list[str]:
    """All that the commands printed."""
    return []


@pytest.fixture(scope="module")
def command(s3: dict[str, str], environment: dict[str, str], said: list[str]) -> Iterator[Command]:
    """Runs a command on the bucket, on workers that have the credentials from the environment they started in."""
    where = {"LocationConstraint": s3["AWS_REGION"]}
    filesystem().call_s3("create_bucket", Bucket="ritz-whole", CreateBucketConfiguration=where)
    with Local(solve=Role(count=2), train=Role(count=1)).open() as cluster:
        place = ("--store", URL, "--json", "--profile", attached.profile(cluster))

        def run(*arguments: str) -> dict[str, Any]:
            done = inside(*arguments, *place, env=environment | s3)
            said.extend((done.stdout, done.stderr))
            assert done.returncode == 0, done.stderr
            found: dict[str, Any] = json.loads(done.stdout)
            return found

        yield run


@pytest.fixture(scope="module")
def record(command: Command) -> dict[str, Any]:
    return command("run", SMALL, "--set", "catalogue=s3://ritz-whole/site", "--set", "about.licence=CC-BY-4.0")


def test_a_run_writes_the_catalogue_that_its_recipe_names(record: dict[str, Any]) -> None:
    assert record["recipe"]["catalogue"] == "s3://ritz-whole/site"
    site = Store("s3://ritz-whole/site")
    for page in ("datasets/small/index.html", "models/small/v1/index.html"):
        text = site.read(page).decode()
        assert "<h1>small@v1</h1>" in text
        assert "Licence: CC-BY-4.0." in text


def test_a_run_leaves_all_of_it_in_the_bucket(record: dict[str, Any]) -> None:
    store = Store(URL)
    assert record["status"] == "finished"
    assert record["paths"] == {"report": f"{URL}/runs/{record['run']}/report.html", "store": URL}
    assert b"<!DOCTYPE html>" in store.read(f"runs/{record['run']}/report.html")
    assert json.loads(store.read(f"runs/{record['run']}/record.json")) == record
    data = read(store, "small@v1").load()
    assert data.sizes["sample"] == 40
    assert float(data["residual"].max()) <= 1e-8
    assert np.isfinite(data["u"]).all()
    assert Dataset.open(store, "small").resolve("v1").snapshot == record["dataset"]["snapshot"]


def test_the_lists_and_a_prediction_read_it(record: dict[str, Any], tmp_path: Path) -> None:
    def document(*arguments: str) -> Any:
        done = inside(*arguments, "--store", URL, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    assert [(row["dataset"], row["version"], row["done"]) for row in document("datasets")] == [("small", "v1", 40)]
    assert [(row["model"], row["version"]) for row in document("models")][:1] == [("small", "v1")]
    assert document("runs") == [record]
    assert set(document("show", "small@v1")) == {"dataset", "model"}
    assert document("show", record["run"])["run"] == record
    given = read(Store(URL), "small@v1")[["a"]].isel(sample=slice(2)).load()
    given.drop_vars([name for name in given.coords if name not in ("x", "y")]).to_netcdf(tmp_path / "a.nc")
    arguments = ("--input", str(tmp_path / "a.nc"), "--output", str(tmp_path / "u.nc"))
    done = inside("predict", "small@v1", *arguments, "--store", URL, "--json")
    assert (done.returncode, json.loads(done.stdout)["samples"]) == (0, 2)
    assert "too few inputs to tell" in done.stderr
    with xr.open_dataset(tmp_path / "u.nc") as predicted:
        assert np.isfinite(predicted["u_upper"]).all()


def test_the_same_run_again_has_nothing_to_do(record: dict[str, Any]) -> None:
    again = inside("run", SMALL, "--store", URL, "--json")
    assert "nothing to do" in again.stderr
    assert json.loads(again.stdout) == record


@pytest.mark.soak
def test_a_model_is_trained_on_it_offline(record: dict[str, Any], command: Command) -> None:
    assert command("train", SMALL, "--dataset", "small@v1")["model"] == {"name": "small", "version": "v2"}
    card = models.read_card(Store(URL), "small@v2")
    assert (card["mode"], card["dataset"]["snapshot"]) == ("offline", record["dataset"]["snapshot"])


@pytest.mark.soak
def test_a_model_is_measured_on_it_again(record: dict[str, Any], command: Command) -> None:
    assert command("evaluate", "small@v1", "--dataset", "small@v1")["metrics"] == record["metrics"]


def test_it_is_audited_and_one_sample_made_again(record: dict[str, Any], command: Command) -> None:
    audit = command("audit", "small@v1")
    assert (audit["clean"], audit["samples"], audit["not_done"]) == (True, 40, [])
    assert audit["checks"]["residuals"]["checked"] == 40
    again = command("regenerate", "small@v1", "--sample", "7")
    assert (again["sample"], again["agrees"]) == (7, True)


def test_no_credential_is_written_or_said(record: dict[str, Any], said: list[str]) -> None:
    secrets = [text.encode() for text in (SECRET, quote(SECRET, safe=""), KEY)]
    # The bucket: repositories with their settings, cards, records, reports, locks, what is kept of a training.
    objects = filesystem().cat(filesystem().find(URL))
    assert {path.split("/")[2] for path in objects} >= {"datasets", "models", "runs", "fits", "probes"}
    # The database of the Prefect server has the parameters, logs and artifacts of every run.
    files = {path: path.read_bytes() for path in Path(os.environ["PREFECT_HOME"]).rglob("*") if path.is_file()}
    assert any(URL.encode() in content for path, content in files.items() if ".db" in path.name)
    for place, content in {**objects, **files, "what was said": "".join(said).encode()}.items():
        assert not any(secret in content for secret in secrets), place
    attributes = Dataset.open(Store(URL), "small").attrs
    assert not any(secret.decode() in json.dumps([attributes, record]) for secret in secrets)


REFUSED = {
    "no such bucket": ("datasets", "s3://nobody-made-it/x", "cannot list {}.*: there is no such bucket"),
    "no such bucket for a run": (f"run {SMALL}", "s3://nobody-made-it/x", "there is no such bucket"),
    "wrong credentials": ("runs", "s3://ritz-wrong/x", "cannot list {}.*: access denied"),
    "no credentials": ("models", "s3://ritz-none/x", "no credentials found; set AWS_ACCESS_KEY_ID"),
    "unreachable": ("show small", "s3://ritz-away/x", "no answer from {}; check AWS_ENDPOINT_URL"),
    "credentials in the URL": (f"generate {SMALL}", f"s3://{KEY}:{SECRET}@ritz/x", "read from the environment"),
}


def test_what_is_wrong_with_a_bucket_is_one_line(s3: dict[str, str], tmp_path: Path) -> None:
    with socket.socket() as nobody:
        # Bound and not listening: the port is taken, and nobody answers.
        nobody.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        environments = {
            "wrong credentials": settings(s3["AWS_ENDPOINT_URL"], tmp_path, key="SOMEBODYELSES0123456"),
            "no credentials": {**s3, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "unreachable": settings(away, tmp_path),
        }

        def answer(case: str) -> tuple[Any, float]:
            arguments, url, _ = REFUSED[case]
            start = time.monotonic()
            done = ritz(*arguments.split(), "--store", url, env={**os.environ, **environments.get(case, s3)})
            return done, time.monotonic() - start

        with ThreadPoolExecutor(2) as pool:
            answers = dict(zip(REFUSED, pool.map(answer, REFUSED), strict=True))
    for case, (done, seconds) in answers.items():
        _, url, said = REFUSED[case]
        assert re.search(said.format(re.escape(away if case == "unreachable" else url)), done.stderr), done.stderr
        assert done.stderr.startswith("ritz: ")
        assert (done.stderr.count("\n"), done.stdout, done.returncode) == (1, "", 2), done.stderr
        assert SECRET not in done.stderr
        assert seconds < 60
