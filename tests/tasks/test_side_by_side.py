from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from ritz.storage import models
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.reading import read
from ritz.storage.store import Store
from ritz.tasks.documents import of_model
from ritz.tasks.documents.evaluation import Evaluation, TruthError, TruthErrors
from ritz.tasks.report.models import models_page
from ritz.tasks.views.side_by_side import columns, rows, side_by_side
from tests.command import inside
from tests.older import unpacked


def save(store: Store, name: str, evaluation: Evaluation | None) -> None:
    """Keep another model, with the files that an evaluation needs and no others."""
    card = models.read_card(store, "small@v1")
    files = {} if evaluation is None else {of_model.EVALUATION: json.dumps(evaluation.document()).encode()}
    models.save(store, name, {"release.json": b"{}", **files}, {**card, "identity": name})


def scaled(before: Evaluation, ids: np.ndarray, factors: np.ndarray, **entries: object) -> Evaluation:
    """Return an evaluation with errors that are that many times larger, and metrics of every sample."""
    errors = np.array(before.relative_l2) * factors
    by_sample: Mapping[str, object] = {
        "relative_l2": {"": errors.tolist()},
        "spectral": {"low": (2 * errors).tolist(), "high": errors.tolist()},
        "flux": {"x_low": errors.tolist()},
    }
    return before.changed(relative_l2=errors.tolist(), sample_ids=ids.tolist(), by_sample=by_sample, **entries)


def errors_of_small(store: Store) -> np.ndarray:
    evaluation = of_model.evaluation(store, "small@v1")
    assert evaluation is not None
    return np.array(evaluation.relative_l2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """``small@v1`` of an earlier release, ``worse`` with 2 and 4 times its errors, ``fewer`` on another version."""
    found = Store(unpacked(tmp_path_factory.mktemp("models")) / "store")
    before = of_model.evaluation(found, "small@v1")
    assert before is not None
    data = read(found, before.dataset)
    ids = data["sample_id"].values[data["split"].values == "test"]
    factors = np.where(np.arange(len(ids)) % 2, 2.0, 4.0)
    known = TruthError(known=True, mean=0.0012, max=0.002, samples=8)
    errors = TruthErrors(
        dataset=before.dataset, rtol=1e-8, labels=TruthError(known=False, reason="none"), discretisation=known
    )
    save(found, "worse", scaled(before, ids, factors, truth=errors, unfit={"h1": "a reason"}))
    # The samples in another order, and one that the others lack in place of the first.
    other = scaled(before, np.array([10**6, *ids[1:]])[::-1], np.ones(len(ids)), dataset="small@v2")
    save(found, "fewer", other.changed(relative_l2=before.relative_l2[::-1]))
    save(found, "elsewhere", scaled(before, ids, factors, dataset="another@v1"))
    save(found, "unmeasured", None)
    return found


def test_a_model_is_paired_with_the_first_sample_by_sample(store: Store) -> None:
    found = side_by_side(store.url, ["small", "worse@v1"])
    before = errors_of_small(store)
    assert (found.dataset, found.samples, found.level) == ("small", len(before), 0.95)
    small, worse = found.models
    assert (small.model, worse.model) == ("small@v1", "worse@v1")
    assert small.errors["relative_l2"][""].mean == pytest.approx(before.mean(), rel=1e-12)
    assert small.paired is None
    assert worse.paired is not None
    logs = np.log(np.where(np.arange(len(before)) % 2, 2.0, 4.0))
    assert worse.paired.ratio == pytest.approx(np.exp(logs.mean()), rel=1e-12)
    assert 1 < worse.paired.low < worse.paired.ratio < worse.paired.high
    assert (worse.paired.won, worse.paired.pairs, worse.paired.verdict) == (0, len(before), "worse")
    error = worse.errors["relative_l2"][""]
    assert error.low is not None
    assert error.high is not None
    assert error.low < error.mean < error.high
    assert error.mean - error.low == pytest.approx(error.high - error.mean)
    # An earlier release kept the errors of single samples for one metric alone.
    assert set(small.errors) == {"relative_l2"}
    assert set(worse.errors) == {"relative_l2", "spectral", "flux"}
    backwards = side_by_side(store.url, ["worse", "small"]).models[1].paired
    assert backwards is not None
    assert (backwards.won, backwards.verdict) == (len(before), "better")


def test_on_another_version_the_samples_that_are_shared_count_in_their_order(store: Store) -> None:
    both = side_by_side(store.url, ["small", "fewer"])
    small, fewer = both.models
    before = errors_of_small(store)
    assert both.samples == len(before) - 1
    for model in (small, fewer):
        assert model.errors["relative_l2"][""].mean == pytest.approx(before[1:].mean(), rel=1e-12)
    assert fewer.paired is not None
    assert (fewer.paired.ratio, fewer.paired.verdict) == (1, "undecided")
    # A flux is relative to that of all samples, which are others there.
    assert "flux" not in fewer.errors


def test_the_table_has_an_error_per_row_and_a_model_per_column(store: Store) -> None:
    found = side_by_side(store.url, ["small", "worse"])
    titles = [
        "relative L2", "relative L2, low wavenumbers", "relative L2, high wavenumbers",
        "flow through a wall, relative, x low",
    ]  # fmt: skip
    assert list(columns(found).values()) == titles
    table = {row["error"]: row for row in rows(found)}
    assert list(table) == [*titles, "relative L2 over that of small@v1"]
    assert list(table["relative L2"]) == ["error", "small@v1", "worse@v1"]
    assert table["flow through a wall, relative, x low"]["small@v1"] == "-"
    low = found.models[1].errors["spectral"]["low"]
    assert table["relative L2, low wavenumbers"]["worse@v1"].startswith(f"{low.mean:.3g}±")
    paired = found.models[1].paired
    assert paired is not None
    last = table["relative L2 over that of small@v1"]
    assert (last["small@v1"], last["worse@v1"]) == ("-", f"{paired.ratio:.3g} [{paired.low:.3g}, {paired.high:.3g}]")


def test_the_page_has_everything_in_it(store: Store) -> None:
    page = models_page(side_by_side(store.url, ["small", "worse"])).decode()
    for text in (
        "small@v1",
        "worse@v1",
        "No relative H1: a reason.",
        "over 8 samples: 0.00120",
        "of its equations is not known",
    ):
        assert text in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("specs", "kind", "message"),
    [
        (["small", "small@v1"], StorageError, "model small@v1 is named twice"),
        (["small", "elsewhere"], StorageError, "on small@v1 and elsewhere@v1 on another@v1, expected one dataset; see"),
        (["small", "unmeasured"], Unknown, "unmeasured@v1 was not evaluated; see `ritz evaluate unmeasured@v1"),
        (["small", "nobody"], Unknown, "nobody"),
    ],
)
def test_what_cannot_be_compared_says_why(
    store: Store, specs: list[str], kind: type[StorageError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        side_by_side(store.url, specs)


def test_the_command_prints_the_table_and_writes_the_page(store: Store, tmp_path: Path) -> None:
    page = tmp_path / "models.html"
    arguments = ("models", "small", "worse", "--store", store.url)
    done = inside(*arguments, "--report", str(page))
    assert done.returncode == 0, done.stderr
    assert "worse@v1" in done.stdout
    assert done.stdout.endswith(f"page {page}\n")
    assert page.read_bytes().startswith(b"<!DOCTYPE html>")
    assert [one["model"] for one in json.loads(inside(*arguments, "--json").stdout)["models"]] == [
        "small@v1",
        "worse@v1",
    ]
    for path, message in ((page, "exists already"), (tmp_path / "page.txt", "ends in .html")):
        refused = inside(*arguments, "--report", str(path))
        assert refused.returncode == 2
        assert message in refused.stderr
    alone = inside("models", "small", "--store", store.url, "--report", str(tmp_path / "new.html"))
    assert alone.returncode == 2
    assert "got 1 models, expected two or more" in alone.stderr
