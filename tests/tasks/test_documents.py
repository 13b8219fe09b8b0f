"""Documents are typed, and those that were written before are written again byte for byte."""

from __future__ import annotations

import ast
import json
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from ritz.compute.document import Document, DocumentPart, Number
from ritz.storage.errors import Damaged
from ritz.storage.store import Store
from ritz.tasks.documents import of_model, records
from ritz.tasks.documents.calibration import Calibration
from ritz.tasks.documents.card import Card
from ritz.tasks.documents.dataset import Probe
from ritz.tasks.documents.evaluation import Evaluation
from ritz.tasks.documents.reading import read
from ritz.tasks.documents.run import FinishedRun, RunRecord
from ritz.tasks.documents.training import History, TrainingSummary
from ritz.tasks.documents.verdict import Verdict
from tests.documents import finished

ROOT = Path(__file__).parents[2]

STORED: list[tuple[str, type[Document]]] = [
    ("runs/*/record.json", RunRecord),
    ("runs/*/record.json", FinishedRun),
    ("models/*/*/card.json", Card),
    ("models/*/*/evaluation.json", Evaluation),
    ("models/*/*/calibration.json", Calibration),
    ("models/*/*/release.json", Verdict),
    ("models/*/*/history.json", History),
    ("fits/*/summary.json", TrainingSummary),
    ("probes/*.json", Probe),
]


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that Ritz 0.1.0 wrote; only to be read."""
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(ROOT / "tests/data/store.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "store"


def _again(folder: Path, pattern: str, kind: type[Document]) -> None:
    files = sorted(folder.glob(pattern))
    assert files
    for file in files:
        text = file.read_text()
        indent = 2 if text.startswith("{\n") else None
        document = read(kind, json.loads(text), str(file)).document()
        assert json.dumps(document, indent=indent) == text, file


@pytest.mark.parametrize(("pattern", "kind"), STORED, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_what_was_written_before_is_written_again_byte_for_byte(
    older: Path, pattern: str, kind: type[Document]
) -> None:
    _again(older, pattern, kind)


@pytest.mark.parametrize(("pattern", "kind"), STORED, ids=lambda one: one if isinstance(one, str) else one.__name__)
def test_what_is_written_now_is_written_again_byte_for_byte(
    tiny_store: tuple[Path, dict[str, object]], pattern: str, kind: type[Document]
) -> None:
    _again(tiny_store[0], pattern, kind)


def test_entries_of_a_document_have_types(older: Path) -> None:
    store = Store(older)
    card, [record] = of_model.card(store, "small"), records.look(store).good
    assert card.dataset.spec == "small@v1"
    assert card.outputs["u"].dims == ("y", "x")
    assert card.metrics is not None
    assert card.calibration is not None
    assert card.metrics.relative_l2.mean == pytest.approx(1.0664917734679136)
    assert card.calibration.coverage["0.5"].width == pytest.approx(0.07897065910466004)
    run = records.finished(store, record)
    assert (run.model.spec, run.model.release, run.model.release_by(run.recipe)) == ("small@v1", None, "not judged")
    assert run.panel[0].method == "recycled, carry"
    assert run.break_even is not None
    assert run.break_even.fastest is not None
    assert run.break_even.fastest.solver["kind"] == "multigrid"


class Clock(DocumentPart):
    seconds: Number
    per_step: Number | None = Field(None, alias="per step")


class Timed(Document):
    clock: Clock
    steps: int = 0


@pytest.mark.parametrize(
    "given",
    [
        {"clock": {"seconds": 1}},
        {"steps": 3, "clock": {"seconds": 1.0}},
        {"later": [1, {"a": None}], "clock": {"unit": "s", "per step": 2, "seconds": 0.5}, "steps": 1},
        {"clock": {"seconds": 1}, "format": 1},
    ],
)
def test_order_numbers_and_entries_that_no_field_knows_are_kept(given: dict[str, object]) -> None:
    for one in (Timed.model_validate(given), pickle.loads(pickle.dumps(Timed.model_validate(given)))):
        assert json.dumps(one.document()) == json.dumps(given)


def test_a_document_is_frozen_and_changed_into_another() -> None:
    before = Timed(clock=Clock(seconds=1, per_step=2))
    with pytest.raises(ValueError, match="frozen"):
        before.steps = 1  # type: ignore[misc]  # that it cannot be set is what is tested
    after = before.changed(steps=4, clock=before.clock.changed(seconds=2))
    assert after.document() == {"clock": {"seconds": 2, "per step": 2}, "steps": 4}
    assert after.entries() == {"clock": Clock(seconds=2, per_step=2), "steps": 4}
    assert after.clock.entries() == {"seconds": 2, "per step": 2}
    assert before.document() == {"clock": {"seconds": 1, "per step": 2}}
    assert after.without("steps").document() == {"clock": {"seconds": 2, "per step": 2}}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"format": 2}, r"runs/a/record\.json: format is 2, expected at most 1: a later release wrote it"),
        ({"format": "new"}, "format is 'new', expected at most 1"),
        ({"metrics": {"relative_l2": {"median": 1.0}}}, r"metrics\.relative_l2\.mean is missing"),
        ({"times": None}, "times is None, expected a valid dictionary"),
        ({"ledger": {**finished().ledger.document(), "failed": "none"}}, r"ledger\.failed is 'none', expected"),
    ],
)
def test_what_a_document_lacks_is_named_with_its_file(entries: dict[str, object], said: str) -> None:
    with pytest.raises(Damaged, match=said):
        read(FinishedRun, finished().document() | entries, "runs/a/record.json")


def test_a_later_format_reads_what_was_written_before() -> None:
    class Later(Timed):
        newest: ClassVar[int] = 2
        format: int = 1

    assert Later.model_validate({"clock": {"seconds": 1}}).document() == {"clock": {"seconds": 1}}
    assert Later.model_validate({"format": 2, "clock": {"seconds": 1}}).format == 2


def _annotations(room: str) -> Iterator[tuple[str, str]]:
    for file in sorted((ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            found: list[ast.expr | None] = []
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                found = [node.returns, *(argument.annotation for argument in every)]
            elif isinstance(node, ast.AnnAssign):
                found = [node.annotation]
            for annotation in found:
                if annotation is not None:
                    yield f"{file.relative_to(ROOT)}:{annotation.lineno}", ast.unparse(annotation)


@pytest.mark.parametrize("room", ["tasks", "flows", "storage"])
def test_no_document_is_a_mapping_of_anything(room: str) -> None:
    found = list(_annotations(room))
    assert len(found) > 300
    assert [where for where, text in found if "dict[str, Any]" in text] == []
