from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ritz.compute.cluster.local import Local
from ritz.storage.store import Store
from tests import attached
from tests.command import ritz
from tests.tasks.made import NAME, flip, make, object_of

TinyStore = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def answers(
    tiny_store: TinyStore, tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("audited")
    clean = Store(shutil.copytree(tiny_store[0], folder / "clean"))
    damaged = make(folder / "damaged")
    file = object_of(damaged, "u", 2, 0, 0)
    flip(damaged, file, 40)
    commands = {
        "clean": ("audit", "tiny@v1", "--store", clean.url),
        "damaged": ("audit", NAME, "--store", damaged.url, "--json"),
        "same": ("regenerate", "tiny@v1", "--sample", "7", "--store", clean.url),
    }
    with Local().open(("solve",)) as cluster:
        place = ("--profile", attached.profile(cluster))
        done = {name: ritz(*command, *place, env=environment) for name, command in commands.items()}
    return {**done, "file": file, "store": damaged}


def test_a_clean_dataset_ends_with_code_0_and_a_table(answers: dict[str, Any]) -> None:
    done = answers["clean"]
    assert done.returncode == 0, done.stderr
    *table, end = done.stdout.splitlines()
    assert end == "tiny@v1 is clean"
    rows = {line.split()[0]: line.split() for line in table}
    assert rows["check"][1:] == ["checked", "bad", "worst", "bound"]
    assert rows["inputs"][1:3] == rows["residuals"][1:3] == ["160", "0"]
    assert "audit: 160 of 160" in done.stderr


def test_a_damaged_one_ends_with_code_1_and_a_record(answers: dict[str, Any]) -> None:
    done = answers["damaged"]
    assert done.returncode == 1, done.stderr
    record = json.loads(done.stdout)
    assert not record["clean"]
    [finding] = record["findings"]
    assert (finding["check"], finding["variable"], finding["shard"]) == ("checksums", "u", 2)
    assert finding["object"] == answers["file"]
    assert json.loads(answers["store"].read(record["record"])) == record


def test_a_sample_that_is_the_same_ends_with_code_0(answers: dict[str, Any]) -> None:
    done = answers["same"]
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load(done.stdout)
    assert found["sample"] == 7
    assert found["agrees"]
    assert found["inputs"]["a"]["equal"]
    assert found["outputs"]["u"]["difference"] <= found["outputs"]["u"]["bound"]
