"""The whole of Ritz on a store in a bucket, and its credentials nowhere but in the environment."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import xarray as xr

from compute.cluster.profile import Local, Role
from storage import models
from storage.datasets import Dataset, read
from storage.s3 import filesystem
from storage.store import Store
from tests.bucket import KEY, SECRET, settings
from tests.command import TINY, inside, ritz


@dataclass(frozen=True)
class Staged:
    """What was made in a bucket, and everything that was said meanwhile."""

    url: str
    record: dict[str, Any]
    answers: dict[str, dict[str, Any]]
    said: list[str]


@pytest.fixture(scope="module")
def staged(s3: dict[str, str], environment: dict[str, str]) -> Iterator[Staged]:
    where = {"LocationConstraint": s3["AWS_REGION"]}
    filesystem().call_s3("create_bucket", Bucket="ritz-whole", CreateBucketConfiguration=where)
    url = "s3://ritz-whole/team"
    said: list[str] = []
    with Local(solve=Role(count=2), train=Role(count=1)).open() as cluster:
        place = ("--store", url, "--json", "--profile", f"attach:{cluster.client.scheduler_info()['address']}")

        def command(*arguments: str) -> dict[str, Any]:
            done = ritz(*arguments, *place, env=environment | s3)
            said.extend((done.stdout, done.stderr))
            assert done.returncode == 0, done.stderr
            found: dict[str, Any] = json.loads(done.stdout)
            return found

        record = command("run", TINY)
        answers = {
            "generate": command("generate", TINY),
            "train": command("train", TINY, "--dataset", "tiny@v1"),
            "evaluate": command("evaluate", "tiny@v1", "--dataset", "tiny@v1"),
            "quantify": command("quantify", "tiny@v1", "--dataset", "tiny"),
        }
        yield Staged(url, record, answers, said)


def test_a_run_leaves_all_of_it_in_the_bucket(staged: Staged) -> None:
    record, store = staged.record, Store(staged.url)
    assert record["status"] == "finished"
    assert record["paths"] == {"report": f"{staged.url}/runs/{record['run']}/report.html", "store": staged.url}
    assert store.read(f"runs/{record['run']}/report.html").startswith(b"<!DOCTYPE html>")
    assert json.loads(store.read(f"runs/{record['run']}/record.json")) == record
    data = read(store, "tiny@v1").load()
    assert data.sizes["sample"] == 160
    assert float(data["residual"].max()) <= 1e-8
    assert np.isfinite(data["u"]).all()
    assert Dataset.open(store, "tiny").resolve("v1").snapshot == record["dataset"]["snapshot"]


def test_the_stages_go_on_from_what_lies_there(staged: Staged) -> None:
    answers = staged.answers
    assert (answers["generate"]["ledger"]["solved"], answers["generate"]["ledger"]["reused"]) == (0, 160)
    assert answers["train"]["model"] == {"name": "tiny", "version": "v2"}
    assert answers["evaluate"]["metrics"] == staged.record["metrics"]
    assert answers["quantify"]["coverage"] == staged.record["coverage"]
    assert models.read_card(Store(staged.url), "tiny@v2")["mode"] == "offline"


def test_the_lists_and_a_prediction_read_it(staged: Staged, tmp_path: Path) -> None:
    def document(*arguments: str) -> Any:
        done = inside(*arguments, "--store", staged.url, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    assert [(row["dataset"], row["version"], row["done"]) for row in document("datasets")] == [("tiny", "v1", 160)]
    assert [(row["model"], row["version"]) for row in document("models")] == [("tiny", "v1"), ("tiny", "v2")]
    assert document("runs") == [staged.record]
    assert set(document("show", "tiny@v1")) == {"dataset", "model"}
    assert document("show", staged.record["run"])["run"] == staged.record
    given = read(Store(staged.url), "tiny@v1")[["a"]].isel(sample=slice(2)).load()
    given.drop_vars([name for name in given.coords if name not in ("x", "y")]).to_netcdf(tmp_path / "a.nc")
    arguments = ("--input", str(tmp_path / "a.nc"), "--output", str(tmp_path / "u.nc"))
    assert document("predict", "tiny@v1", *arguments)["samples"] == 2
    with xr.open_dataset(tmp_path / "u.nc") as predicted:
        assert np.isfinite(predicted["u_upper"]).all()


def test_the_same_run_again_has_nothing_to_do(staged: Staged) -> None:
    again = inside("run", TINY, "--store", staged.url, "--json")
    assert "nothing to do" in again.stderr
    assert json.loads(again.stdout) == staged.record


def test_no_credential_is_written_or_said(staged: Staged) -> None:
    secrets = [text.encode() for text in (SECRET, quote(SECRET, safe=""), KEY)]
    # The bucket: repositories with their settings, cards, records, reports, locks, what is kept of a training.
    objects = filesystem().cat(filesystem().find(staged.url))
    assert {path.split("/")[2] for path in objects} >= {"datasets", "models", "runs", "fits", "probes"}
    # The database of the Prefect server has the parameters, logs and artifacts of every run.
    files = {path: path.read_bytes() for path in Path(os.environ["PREFECT_HOME"]).rglob("*") if path.is_file()}
    assert any(path.suffix == ".db" and staged.url.encode() in content for path, content in files.items())
    said = {"what was said": "".join(staged.said).encode()}
    for place, content in {**objects, **files, **said}.items():
        assert not any(secret in content for secret in secrets), place
    attributes = Dataset.open(Store(staged.url), "tiny").attrs
    assert not any(secret.decode() in json.dumps([attributes, staged.record]) for secret in secrets)


REFUSED = {
    "no such bucket": ("datasets", "s3://nobody-made-it/x", "cannot list {}.*: there is no such bucket"),
    "no such bucket for a run": (f"run {TINY}", "s3://nobody-made-it/x", "there is no such bucket"),
    "wrong credentials": ("runs", "s3://ritz-wrong/x", "cannot list {}.*: access denied"),
    "no credentials": ("models", "s3://ritz-none/x", "no credentials found; set AWS_ACCESS_KEY_ID"),
    "unreachable": ("show tiny", "s3://ritz-away/x", "no answer from {}; check AWS_ENDPOINT_URL"),
    "credentials in the URL": (f"generate {TINY}", f"s3://{KEY}:{SECRET}@ritz/x", "read from the environment"),
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
