from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule

from ritz.compute.problems.darcy import Darcy
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.training.online import Online
from ritz.tasks.errors import RecipeError
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.recipes import load, names
from ritz.tasks.views.measured import measured, measured_as

BAD: list[tuple[dict[str, Any], list[str]]] = [
    # An unknown key.
    ({"frobnicate": 1}, ["frobnicate", "no such field", "name, problem, data", "(got 1)"]),
    ({"problem.shap": [8, 8]}, ["problem.shap", "no such field", "kind, shape, law"]),
    ({"problem.law.tua": 3}, ["problem.law.tua", "no such field", "tau, alpha, sigma"]),
    ({"data.splits.valid": 2}, ["data.splits.valid", "no such field", "train, validate, steer"]),
    ({"schedule": {"daily": True}}, ["schedule.daily", "no such field", "cron, every"]),
    ({"solver.candidates": [{"kind": "recycled", "restrat": 9}]}, ["solver.candidates.0.restrat", "restart, recycle"]),
    ({"problem.kind": "stokes"}, ["problem", "'stokes'", "'darcy'"]),
    ({"solver": "magic"}, ["solver", "'magic'", "'krylov', 'recycled', 'learned_direction', 'auto'"]),
    ({"solver.candidates": ["direct", "auto"]}, ["solver.candidates.1", "'auto'", "'krylov', 'recycled'"]),
    ({"problem": {"shape": [8, 8]}}, ["problem", "`kind` is required"]),
    # A wrong type.
    ({"data.samples": "many"}, ["data.samples", "valid integer", "'many'"]),
    ({"data.samples": 16.5}, ["data.samples", "valid integer", "16.5"]),
    ({"problem.shape": 32}, ["problem.shape", "expected a list", "32"]),
    ({"problem.shape": [32]}, ["problem.shape", "at least 2 items", "[32]"]),
    ({"data": [1]}, ["data", "expected a mapping", "[1]"]),
    ({"problem": 3}, ["problem", "expected a mapping", "3"]),
    ({"name": None}, ["name", "valid string", "None"]),
    ({"schedule": {"every": "soon"}}, ["schedule.every", "timedelta", "'soon'"]),
    ({"data.samples.first": 3}, ["data.samples.first", "'samples' holds 1024"]),
    # A size that is negative or beyond reason.
    ({"problem.shape": [32, -1]}, ["problem.shape.1", "greater than or equal to 4", "-1"]),
    ({"data.samples": -16}, ["data.samples", "greater than 0", "-16"]),
    ({"data.samples": 10**30}, ["data.samples", "less than or equal to 1000000000", f"{10**30}"]),
    ({"data.seed": -1}, ["data.seed", "greater than or equal to 0", "-1"]),
    ({"schedule": {"cron": "at three"}}, ["schedule.cron", "expected a cron expression", "'at three'"]),
    ({"schedule": {"cron": "0 0 30 2 *"}}, ["schedule.cron", "'0 0 30 2 *'"]),
    ({"schedule": {"cron": "0 0 * * 5L"}}, ["schedule.cron", "'0 0 * * 5L'"]),
    ({"schedule": {"every": -3}}, ["schedule.every", "greater than 0"]),
    ({"training.optimiser.learning_rate": float("nan")}, ["training.optimiser.learning_rate", "nan"]),
    ({"training.optimiser": {"kind": "torch", "name": "Adamm"}}, ["training.optimiser", "'Adamm'", "AdamW", "SGD"]),
    (
        {"training.optimiser": {"kind": "torch", "name": "SGD", "settings": {"beta": 0.9}}},
        ["training.optimiser", "settings has beta", "lr, momentum"],
    ),
    ({"training.buffer": "fifo"}, ["training", "batches_per_sample is 2.5, expected 0.125", "'fifo'"]),
    ({"training.buffer": {"kind": "lifo"}}, ["training.buffer", "'lifo'", "'reservoir', 'fifo', 'firo'"]),
    ({"training.losses": []}, ["training.losses", "at least 1"]),
    ({"training.losses": ["relative_l3"]}, ["training.losses.0", "relative_l3", "'relative_h1'"]),
    ({"training.batches_per_sample": float("inf")}, ["training.batches_per_sample", "finite", "inf"]),
    # A probability over 1.
    ({"uncertainty.levels": [0.5, 1.2]}, ["uncertainty.levels.1", "less than 1", "1.2"]),
    ({"gate.coverage": 1.5}, ["gate.coverage", "less than 1", "1.5"]),
    ({"training.coarse": 1.01}, ["training.coarse", "less than or equal to 1", "1.01"]),
    # Values that do not go together.
    ({"data.samples": 1000}, ["data", "samples = 1000", "shard = 16", "992 or 1008"]),
    ({"data.splits.train": 13}, ["data.splits", "add up to 21", "expected 20"]),
    ({"schedule": {}}, ["schedule", "`cron` or `every`"]),
    ({"schedule": {"cron": "* * * * *", "every": 3}}, ["schedule", "`cron` or `every`"]),
    ({"training.watermark": 129}, ["training", "watermark is 129", "buffer.capacity, 128"]),
    (
        {"data.samples": 96},
        ["data.samples = 96", "60 samples of the split 'train'", "at least 64", "training.watermark"],
    ),
    (
        {"data.samples": 112, "uncertainty.levels": [0.9, 0.96]},
        ["data.samples = 112", "15 samples of the split 'calibrate'", "at least 24", "uncertainty.levels", "is 160"],
    ),
    ({"data.splits.train": 0.63}, ["data.splits.train", "multiple of 0.05", "0.6 (12 of 20) or 0.65 (13 of 20)"]),
    ({"data.splits.train": 0.7}, ["data.splits", "add up to 22; expected 20 (or 1.1 of all; expected 1): train 14"]),
    # What may be meant.
    ({"data.sample": 64}, ["data.sample", "did you mean samples?"]),
    ({"samples": 64}, ["samples", "did you mean data.samples?"]),
    ({"seed": 1}, ["did you mean data.seed or training.seed?"]),
    ({"solver.restart": 9}, ["solver.restart", "the kinds that have it: transform, krylov, recycled"]),
    ({"problem.kind": "darci"}, ["'darci'", "did you mean darcy?"]),
    ({"data.dtype": "flaot32"}, ["data.dtype", "did you mean float32?"]),
    ({"data.samples": "1e3"}, ["data.samples", "the nearest is 1000"]),
    ({"data.seed": 1.5}, ["data.seed", "the nearest are 1 and 2"]),
    ({"surrogate.modes": 15}, ["surrogate.modes", "the nearest are 14 and 16"]),
    ({"surrogate": {"kind": "transolver", "width": 30}}, ["width is 30", "multiple of heads, 4: 28 or 32"]),
    ({"data.samples": None}, ["data.samples", "the value is empty"]),
    # Items of lists.
    ({"training.losses.weight": 2}, ["--set training.losses.weight", "the list losses has the items 0 to 0"]),
    ({"training.losses.7": "residual"}, ["--set training.losses.7", "and 1 adds one"]),
    ({"problem.shape.0": 1}, ["problem.shape.0", "greater than or equal to 4"]),
    ({"a..b": 1}, ["'a..b'", "names with dots between them"]),
    ({"uncertainty.levels": [0.5, 0.95]}, ["gate.coverage", "0.9", "uncertainty.levels"]),
    ({"data.splits": {"validate": 0, "steer": 2}}, ["0 samples of the split 'validate'", "at least 1"]),
    ({"name": "a/b"}, ["name", "'a/b'"]),
    ({"name": "../up"}, ["name", "'../up'"]),
]


@pytest.mark.parametrize(("overrides", "said"), BAD, ids=[str(overrides)[:50] for overrides, _ in BAD])
def test_a_bad_value_gets_one_message_with_field_value_and_expectation(
    overrides: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(RecipeError) as caught:
        load("darcy", overrides)
    message = str(caught.value)
    assert message.startswith(("recipe 'darcy': ", "--set "))
    for part in said:
        assert part in message
    assert "\n" not in message
    assert "pydantic" not in message


def test_two_bad_values_are_named_together() -> None:
    with pytest.raises(RecipeError) as caught:
        load("darcy", {"data.samples": "x", "surrogate.width": 0})
    first, *rest = str(caught.value).splitlines()
    assert first == "recipe 'darcy':"
    assert [line.split(":")[0].strip() for line in rest] == ["data.samples", "surrogate.width"]


def test_a_bad_item_is_not_reported_again_as_a_bad_list() -> None:
    with pytest.raises(RecipeError) as caught:
        load("darcy", {"solver.candidates": [{"kind": "recycled", "restart": 0}]})
    assert str(caught.value) == (
        "recipe 'darcy': solver.candidates.0.restart: Input should be greater than or equal to 2 (got 0)"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [1\nb: 2", "not YAML: expected ',' or ']', but got ':', line 2, column 2"),
        ("name: x\n\tdata: 3", "not YAML: found character '\\t' that cannot start any token, line 2, column 1"),
        ("name: !!python/object:os.system x", "not YAML: could not determine a constructor"),
        ("\0", "not YAML: unacceptable character #x0000"),
        ("- 1\n- 2", "expected a mapping of fields, got list"),
        ("just text", "expected a mapping of fields, got str"),
        ("", "expected a mapping of fields, got NoneType"),
        ("problem: darcy", "name: this field is required"),
        ("name: x\n1: 2", "1: Keys should be strings"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load(str(path))
    assert str(caught.value).startswith(f"recipe '{path}'")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(RecipeError, match="is not YAML"):
        load(str(path))


@pytest.mark.parametrize("name", ["nope", "", "../darcy", "darcy.yml"])
def test_an_unknown_recipe_is_refused(name: str) -> None:
    with pytest.raises(
        RecipeError, match="no such file" if name.endswith(".yml") else "burgers, convection, cookies, darcy, darcy-3d"
    ) as caught:
        load(name)
    assert f"recipe {name!r}" in str(caught.value)


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(RecipeError, match="no such file"):
        load(str(tmp_path / "folder.yaml"))


def test_shipped_recipes_load() -> None:
    assert {"darcy", "darcy-recycled"} <= set(names())
    for name in names():
        assert load(name).name == name


def test_the_darcy_recipe_is_what_the_readme_says() -> None:
    pipeline = load("darcy")
    assert isinstance(pipeline.problem, Darcy)
    assert pipeline.problem.shape == (64, 64)
    assert pipeline.data.samples == 1024
    assert pipeline.data.rtol == 1e-8
    assert isinstance(pipeline.training, Online)
    assert pipeline.training.buffer.capacity <= pipeline.train_samples / 4
    assert pipeline.uncertainty.levels == (0.5, 0.8, 0.9, 0.95)
    assert isinstance(load("darcy-recycled").solver, Recycled)


def test_what_every_shipped_recipe_came_to_is_known_and_the_readme_has_it() -> None:
    found = measured()
    assert set(found) == set(names())
    for name, one in found.items():
        assert measured_as(name, load(name)) == one
        gate = load(name).gate
        # A recipe whose model is no good has a gate that says so.
        assert gate.relative_l2 is not None
        assert one.relative_l2 < gate.relative_l2 or name == "acoustic"
    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").split())
    burgers, darcy = found["burgers"], found["darcy"]
    assert f"`burgers` does: {burgers.relative_l2:.1%}".replace("%", " %") in readme
    assert f"after {burgers.seconds / 60:.1f} minutes" in readme
    alone = "never" if burgers.queries is None else f"{burgers.queries:,}"
    assert f"after {burgers.queries_batched:,} predictions in batches ({alone} one at a time)" in readme
    assert f"`darcy`, {darcy.relative_l2:.1%} after {darcy.seconds / 60:.1f} minutes".replace("%", " %") in readme
    worse = sorted(name for name, one in found.items() if one.baseline_relative_l2 < one.relative_l2)
    assert worse == ["helmholtz-3d", "poisson"]


def test_the_training_in_the_readme_is_a_training() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    block = next(part for part in readme.split("```yaml\n")[1:] if part.startswith("training:")).partition("```")[0]
    training = Pipeline.model_validate({"name": "readme", **yaml.safe_load(block)}).training
    assert isinstance(training, Online)
    assert [loss.kind for loss in training.losses] == ["relative_l2", "residual"]
    assert training.steps(100) == 250


@pytest.mark.parametrize("cron", ["0 3 * * *", "*/15 8-18 * * MON-FRI", "30 4 1,15 * *", "0 0 L * *", "0 0 * JAN 2#1"])
def test_a_cron_expression_is_one_for_the_server_too(cron: str) -> None:
    schedule = load("darcy", {"schedule.cron": cron}).schedule
    assert schedule is not None
    assert CronSchedule(cron=schedule.cron or "").cron == cron


def test_all_faults_are_named_at_once() -> None:
    wrong = {
        "nam": "x",
        "solver": {"kind": "recycled", "recycle": 60},
        "problem.law.alpha": 0.5,
        "data.shard": 7,
        "data.splits.train": 13,
        "training.watermark": 200,
        "training.stopping": {},
        "training.validation": 0,
        "uncertainty.levels": [0.5, 0.4],
        "schedule": {},
    }
    with pytest.raises(RecipeError) as caught:
        load("darcy", wrong)
    first, *rest = str(caught.value).splitlines()
    assert first == "recipe 'darcy':"
    for said in (
        "nam: there is no such field",
        "problem.law.alpha: Input should be greater than 1 (got 0.5)",
        "data: samples = 1024 is no multiple of shard = 7; the nearest that are: 1022 or 1029",
        "data.splits: shares add up to 21",
        "solver: recycle is 60, expected less than restart, which is 50",
        "training: watermark is 200, expected at most buffer.capacity, 128",
        "training: validation is 0",
        "uncertainty.levels: ",
        "schedule: ",
    ):
        assert len([line for line in rest if line.strip().startswith(said)]) == 1, said
    assert len(rest) == 9


def test_what_depends_on_a_refused_value_is_not_said() -> None:
    # The number of samples is unknown, so whether they are enough is too; the levels are not.
    with pytest.raises(RecipeError) as caught:
        load("darcy", {"data.samples": "many", "data.shard": 7, "gate.coverage": 2, "uncertainty.levels": [0.5]})
    assert [line.strip().partition(":")[0] for line in str(caught.value).splitlines()[1:]] == [
        "data.samples",
        "gate.coverage",
    ]


def test_faults_of_two_stages_and_of_a_path_come_together() -> None:
    with pytest.raises(RecipeError) as caught:
        load("darcy", {"data.samples": 3, "problem.law.tau.x": 1})
    lines = [line.strip() for line in str(caught.value).splitlines()[1:]]
    assert lines[0] == "--set problem.law.tau.x: 'tau' holds 3.0, which has no fields"
    assert lines[1] == "data: samples = 3 is no multiple of shard = 16; the nearest that are: 16"
    assert "'train'; expected at least 64" in lines[2]
    assert "'calibrate'; expected at least 19" in lines[2]
    assert "the smallest data.samples that has enough is 144" in lines[2]
    assert load("darcy", {"data.samples": 144}).data.samples == 144


def test_very_many_faults_are_cut() -> None:
    with pytest.raises(RecipeError) as caught:
        load("darcy", {f"key{i}": "x" * 10_000 for i in range(500)})
    lines = str(caught.value).splitlines()
    assert len(lines) == 22
    assert lines[-1].strip() == "and more"
    assert max(map(len, lines)) < 500


def test_a_small_try_is_refused_by_the_stages_alone_that_are_run() -> None:
    small = {"data.samples": 32}
    assert load("darcy", small, stages=()).data.samples == 32
    assert load("darcy", {"data.samples": 128, "training.watermark": 64}, stages=("train",)).train_samples >= 64
    for stage, split in (("train", "train"), ("quantify", "calibrate")):
        with pytest.raises(RecipeError, match=f"split '{split}'"):
            load("darcy", small, stages=(stage,))


def test_shares_of_the_splits_are_the_counts_that_they_equal() -> None:
    shares = {"train": 0.6, "validate": 0.1, "steer": 0, "calibrate": 0.15, "test": 0.15}
    by_shares, by_counts = load("darcy", {"data.splits": shares}), load("darcy")
    assert by_shares == by_counts
    assert by_shares.identity == by_counts.identity
    assert by_shares.document()["data"]["splits"]["train"] == 12
    assert load("darcy", {"data.splits": {"train": 0.55, "steer": 0.05}}).data.splits.steer == 1


HUGE: dict[str, tuple[Any, str]] = {
    "text": ("x" * 100_000, "(100000 characters)"),
    "number": (10**5000, "a whole number of about 5001 digits"),
    "depth": (json.loads("[" * 100 + "]" * 100), "more than 20 deep"),
    "list": (list(range(100_000)), "more than 10000 values"),
}


@pytest.mark.parametrize("case", HUGE)
@pytest.mark.parametrize("path", ["name", "data.samples", "problem.shape", "data.rtol", "schedule.cron", "solver", "a"])
def test_a_huge_value_makes_a_short_message_in_no_time(path: str, case: str) -> None:
    value, said = HUGE[case]
    start = time.process_time()
    with pytest.raises(RecipeError, match=re.escape(said)) as caught:
        load("darcy", {path: value})
    assert len(str(caught.value)) < 1000
    assert time.process_time() - start < 5


def test_a_recipe_is_found_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\r\n", encoding="utf-8-sig")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load("~/mine.yaml").name == "mine"
    with pytest.raises(RecipeError, match="did you mean the shipped heat"):
        load("heat.yaml")
    with pytest.raises(RecipeError, match=r"it is a folder; expected the path of a YAML file, it has mine\.yaml"):
        load("~")
