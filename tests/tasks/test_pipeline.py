from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from ritz.compute.cluster.attach import Attach
from ritz.compute.cluster.local import Local
from ritz.compute.kind import Kind, OneOf
from ritz.compute.solvers.choice.auto import Auto
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.uncertainty.coverage import WholeFields
from ritz.tasks.documents.calibration import Coverage, CoverageRow
from ritz.tasks.documents.evaluation import Metrics
from ritz.tasks.documents.verdict import Verdict
from ritz.tasks.measuring.gate import Gate, better_baselines
from ritz.tasks.parsing.identity import outcome_hash
from ritz.tasks.pipeline import BLOCK, Pipeline, Splits
from ritz.tasks.recipes import load, names
from tests.documents import coverage, metrics
from tests.tasks.own_problem import Scaling

SHARES = [Splits(), Splits(train=8, validate=3, steer=2, calibrate=6, test=1), Splits(train=14, calibrate=1)]

SAMPLES = [
    ("problem.shape", [32, 32]),
    ("problem.law.sigma", 0.5),
    ("data.shard", 32),
    ("data.seed", 1),
    ("data.rtol", 1e-6),
    ("data.dtype", "float64"),
    ("data.splits", {"train": 11, "steer": 1}),
]
"""Changes of what the samples are."""

MODEL = [("surrogate.width", 8), ("surrogate.layers", 2), ("training.seed", 1), ("training.batch_size", 4)]
"""Changes of how a model is made from the samples."""

OTHERS = [
    ("solver", "direct"),
    ("solver", {"kind": "recycled", "restart": 10, "recycle": 5}),
    ("uncertainty.levels", [0.9]),
    ("gate.relative_l2", 1.0),
]
"""Changes of how the samples are computed and the model judged."""


@pytest.mark.parametrize("splits", SHARES, ids=str)
@pytest.mark.parametrize("start", [0, 7, 1_000_003])
def test_splits_are_exact_in_every_block_of_ids(splits: Splits, start: int) -> None:
    found = Counter(splits.of(np.arange(start, start + BLOCK)).tolist())
    assert found == {name: share for name, share in splits.shares() if share}


@pytest.mark.parametrize("splits", SHARES, ids=str)
def test_a_split_is_fixed_by_the_id_alone(splits: Splits) -> None:
    ids = np.arange(200)
    shuffled = np.random.default_rng(0).permutation(ids)
    assert (splits.of(shuffled) == splits.of(ids)[shuffled]).all()
    assert (splits.of(ids[:30]) == splits.of(ids)[:30]).all()


@pytest.mark.parametrize("splits", SHARES, ids=str)
def test_splits_are_counted_without_drawing_ids(splits: Splits) -> None:
    for samples in range(2 * BLOCK + 2):
        assert Counter(splits.count(samples)) == Counter(splits.of(np.arange(samples)).tolist())
    assert splits.count(10**9)["train"] == 10**9 // BLOCK * splits.train


@pytest.mark.parametrize(("path", "value"), SAMPLES, ids=str)
def test_another_sample_is_another_dataset(path: str, value: Any) -> None:
    assert load("darcy", {path: value}).dataset_identity != load("darcy").dataset_identity


@pytest.mark.parametrize(("path", "value"), [*MODEL, *OTHERS, ("schedule", {"every": "PT1H"})], ids=str)
def test_what_does_not_fix_the_samples_leaves_the_dataset(path: str, value: Any) -> None:
    assert load("darcy", {path: value}).dataset_identity == load("darcy").dataset_identity


@pytest.mark.parametrize(("path", "value"), MODEL, ids=str)
def test_another_training_is_another_model(path: str, value: Any) -> None:
    assert load("darcy", {path: value}).model_identity("online", "d") != load("darcy").model_identity("online", "d")


@pytest.mark.parametrize(("path", "value"), [*OTHERS, ("name", "other"), ("schedule", {"every": "PT1H"})], ids=str)
def test_what_does_not_fix_the_model_leaves_it(path: str, value: Any) -> None:
    assert load("darcy", {path: value}).model_identity("online", "d") == load("darcy").model_identity("online", "d")


def test_a_model_is_fixed_by_its_dataset_and_how_it_arrives() -> None:
    pipeline = load("darcy")
    found = {pipeline.model_identity(mode, dataset) for mode in ("online", "offline") for dataset in ("d", "e")}
    assert len(found) == 4


@pytest.mark.parametrize(("path", "value"), [*SAMPLES, *MODEL, *OTHERS, ("name", "other")], ids=str)
def test_another_outcome_is_another_run(path: str, value: Any) -> None:
    assert load("darcy", {path: value}).identity != load("darcy").identity


@pytest.mark.parametrize("override", [{"schedule": {"cron": "0 3 * * *"}}, {"data.grow": 64}], ids=str)
def test_when_it_runs_and_grows_does_not_make_another_run(override: dict[str, Any]) -> None:
    assert load("darcy", override).identity == load("darcy").identity


def test_more_samples_are_another_run_on_the_same_dataset() -> None:
    darcy, more = load("darcy"), load("darcy", {"data.samples": 512})
    assert more.dataset_identity == darcy.dataset_identity
    assert more.samples_identity != darcy.samples_identity
    assert more.identity != darcy.identity
    assert darcy.with_samples(512) == more
    with pytest.raises(ValidationError, match="the nearest that are: 496 or 512"):
        darcy.with_samples(500)


def test_the_same_number_written_otherwise_is_the_same_identity() -> None:
    assert load("darcy", {"problem.law.tau": 3, "data.rtol": "1e-8"}).identity == load("darcy").identity


@pytest.mark.parametrize("recipe", names())
def test_shipped_recipes_survive_their_document(recipe: str) -> None:
    pipeline = load(recipe, {"schedule": {"every": "PT6H"}})
    document = json.loads(json.dumps(pipeline.document()))
    again = Pipeline.model_validate(document)
    assert again == pipeline
    assert again.identity == pipeline.identity
    assert document["data"]["splits"]["validate"] == 2


def test_a_document_holds_every_default() -> None:
    document = Pipeline(name="x", solver=Auto(candidates=(Direct(), Recycled()))).document()
    assert document["solver"]["candidates"][1] == {**Recycled().model_dump(), "kind": "recycled"}
    assert document["problem"]["law"]["tau"] == 3.0
    assert document["training"]["batches_per_sample"] == 2.5


def test_a_pipeline_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Pipeline(name="x").name = "y"  # type: ignore[misc]


def test_a_problem_of_ones_own_needs_no_registration() -> None:
    pipeline = Pipeline(name="own", problem=Scaling(points=16))
    assert isinstance(pipeline.problem, Scaling)
    assert pipeline.document()["problem"] == {"kind": "scaling", "points": 16}
    assert pipeline.dataset_identity != Pipeline(name="own", problem=Scaling()).dataset_identity


def test_an_installed_package_brings_a_problem_for_recipes(tmp_path: Path) -> None:
    info = tmp_path / "scaling-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scaling\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ritz.problems]\nscaling = tests.tasks.own_problem:Scaling\n")
    program = """
        import json
        from ritz.tasks.pipeline import Pipeline
        from ritz.tasks.errors import RecipeError
        from ritz.tasks.recipes import load
        pipeline = load("darcy", {"problem": {"kind": "scaling", "points": 12}})
        try:
            load("darcy", {"problem": "unheard"})
        except RecipeError as error:
            message = str(error)
        print(json.dumps({
            "class": type(pipeline.problem).__name__,
            "points": pipeline.problem.points,
            "again": Pipeline.model_validate(pipeline.document()) == pipeline,
            "message": message,
        }))
    """
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(tmp_path)])}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    message = found.pop("message")
    assert "problem: there is no kind 'unheard', expected one of 'darcy', " in message
    assert message.endswith(", 'scaling'")
    assert found == {"class": "Scaling", "points": 12, "again": True}


def _measured(error: float, measured: float) -> tuple[Metrics, Coverage]:
    return metrics(error), coverage(0.9, measured)


@pytest.mark.parametrize(
    ("error", "measured", "missed"),
    [
        (0.02, 0.9, []),
        (0.03, 0.93, []),
        (0.031, 0.9, ["mean relative L2 0.031 is above 0.03"]),
        (0.02, 0.865, ["90 % bands cover 86.5%, further than 3.0% from nominal"]),
        (0.02, 0.94, ["90 % bands cover 94.0%, further than 3.0% from nominal"]),
        (float("nan"), float("nan"), ["mean relative L2 nan is above 0.03", "90 % bands cover nan%"]),
    ],
)
def test_a_gate_names_every_bound_that_is_missed(error: float, measured: float, missed: list[str]) -> None:
    verdict = Gate(relative_l2=0.03, coverage=0.0301).judge(*_measured(error, measured), {})
    found = verdict.missed
    assert len(found) == len(missed)
    assert (verdict.release, verdict.released) == (("missed", False) if missed else ("released", True))
    for sentence, beginning in zip(found, missed, strict=True):
        assert sentence.startswith(beginning)


def test_a_gate_without_bounds_lets_everything_through_and_says_that_nothing_was_judged() -> None:
    verdict = Gate().judge(*_measured(9.0, 0.1), {"linear": metrics(0.1)})
    assert verdict.document() == {"release": "not judged", "released": True, "missed": []}


def test_a_gate_asks_for_no_coverage_that_was_not_measured() -> None:
    assert Gate(coverage=0.01).judge(metrics(1.0), coverage(0.5, 0.1), {}).missed == ()


@pytest.mark.parametrize(
    ("low", "high", "missed"), [(0.80, 0.88, False), (0.80, 0.86, True), (0.94, 0.96, True), (0.92, 0.96, False)]
)
def test_a_bound_on_coverage_is_missed_where_the_whole_interval_is_beyond_it(
    low: float, high: float, missed: bool
) -> None:
    row = CoverageRow(nominal=0.9, measured=(low + high) / 2, width=1.0, low=low, high=high)
    verdict = Gate(coverage=0.03).judge(metrics(1.0), {"0.9": row}, {})
    assert bool(verdict.missed) == missed
    assert all(f"[{100 * low:.1f}, {100 * high:.1f}]" in reason for reason in verdict.missed)


@pytest.mark.parametrize(("inside", "missed"), [(90, False), (84, False), (80, True)])
def test_a_bound_on_whole_fields_counts_samples(inside: int, missed: bool) -> None:
    document = WholeFields(inside, 100, 1.0).document(0.9)
    row = CoverageRow.model_validate({"nominal": 0.9, "measured": 0.9, "width": 1.0, "fields": document})
    verdict = Gate(fields=0.9).judge(metrics(1.0), {"0.9": row}, {})
    assert bool(verdict.missed) == missed
    if missed:
        assert verdict.missed[0].startswith("90 % bands around whole fields hold 80.0% [70.8, 87.3], below 90.0%")
    [lost] = Gate(fields=0.9).judge(metrics(1.0), coverage(0.9, 0.9), {}).missed
    assert lost.startswith("whole fields in 90 % bands were not measured")


@pytest.mark.parametrize(
    ("error", "better"),
    [(0.02, []), (0.05, ["linear"]), (0.06, ["linear"]), (0.5, ["linear", "mean"]), (float("nan"), ["linear", "mean"])],
)
def test_a_gate_on_baselines_names_all_that_are_not_beaten_best_first(error: float, better: list[str]) -> None:
    baselines = {"mean": metrics(0.4), "linear": metrics(0.05)}
    missed = Gate(baselines=True).judge(*_measured(error, 0.9), baselines).missed
    assert [sentence.split("'")[1] for sentence in missed] == better
    assert list(better_baselines(_measured(error, 0.9)[0], baselines)) == better


@pytest.mark.parametrize(
    ("model", "gate", "release"),
    [
        ({"released": True, "missed": []}, {"relative_l2": None, "coverage": None}, "not judged"),
        ({"released": True, "missed": []}, {"relative_l2": 0.03, "coverage": None}, "released"),
        ({"released": False, "missed": ["…"]}, {"relative_l2": 0.03, "coverage": None}, "missed"),
        ({"released": True, "missed": []}, None, "not judged"),
        ({"released": True, "missed": [], "release": "released"}, {}, "released"),
    ],
)
def test_what_became_of_a_model_is_told_of_records_from_before_it_was_kept(
    model: dict[str, Any], gate: dict[str, Any] | None, release: str
) -> None:
    assert Verdict.model_validate(model).release_by({} if gate is None else {"gate": gate}) == release


def test_a_gate_changes_what_a_run_is_judged_by_and_not_its_outcome() -> None:
    plain, judged = (Pipeline(name="darcy", gate=gate) for gate in (Gate(), Gate(relative_l2=0.5, baselines=True)))
    assert plain.identity != judged.identity
    assert outcome_hash(plain.document()) == outcome_hash(judged.document())
    assert outcome_hash(plain.document()) != outcome_hash(plain.with_samples(2048).document())


def _kinds(annotation: Any, metadata: Any = ()) -> set[type[Kind]]:
    """Return every configuration class that a field of this type may hold, and those inside them."""
    found: set[type[Kind]] = set()
    if isinstance(annotation, type) and issubclass(annotation, Kind) and not inspect.isabstract(annotation):
        found.add(annotation)
    for choice in (*metadata, *getattr(annotation, "__metadata__", ())):
        if isinstance(choice, OneOf):
            found |= set(choice.kinds().values())
    for inner in get_args(annotation):
        found |= _kinds(inner)
    for kind in list(found):
        for field in kind.model_fields.values():
            found |= _kinds(field.annotation, field.metadata)
    return found


CONFIGURATION = sorted(
    _kinds(Pipeline) | _kinds(Local) | _kinds(Attach), key=lambda kind: f"{kind.__module__}.{kind.__name__}"
)


def test_the_configuration_is_found() -> None:
    assert {"Pipeline", "Darcy", "Lognormal", "Recycled", "FNO", "Online", "Conformal", "Role", "Schedule"} <= {
        kind.__name__ for kind in CONFIGURATION
    }


@pytest.mark.parametrize("kind", CONFIGURATION, ids=lambda kind: kind.__name__)
def test_every_field_a_user_sets_says_what_it_is(kind: type[Kind]) -> None:
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    described = {
        field.target.id
        for field, text in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
    silent = {
        name
        for name, field in kind.model_fields.items()
        if name != "kind" and name in kind.__annotations__ and not field.description and name not in described
    }
    assert not silent
    assert kind.__doc__
