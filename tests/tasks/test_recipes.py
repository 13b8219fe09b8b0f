from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule

from compute.cluster.profile import Attach, Local
from compute.problems.darcy import Darcy
from compute.problems.laws import Lognormal
from compute.solvers.recycled import Recycled
from compute.training.online import Online
from tasks.errors import RecipeError
from tasks.pipeline import Pipeline
from tasks.recipes import load, load_profile, names, parse_assignments
from tests.command import TINY

BAD: list[tuple[dict[str, Any], list[str]]] = [
    # An unknown key.
    ({"frobnicate": 1}, ["frobnicate", "no such field", "name, problem, data", "(got 1)"]),
    ({"problem.shap": [8, 8]}, ["problem.shap", "no such field", "kind, shape, law"]),
    ({"problem.law.tua": 3}, ["problem.law.tua", "no such field", "tau, alpha, sigma"]),
    ({"data.splits.valid": 2}, ["data.splits.valid", "no such field", "train, validate, steer"]),
    ({"schedule": {"daily": True}}, ["schedule.daily", "no such field", "cron, every"]),
    ({"solver.candidates": [{"kind": "recycled", "restrat": 9}]}, ["solver.candidates.0.restrat", "restart, recycle"]),
    ({"problem.kind": "stokes"}, ["problem", "'stokes'", "'darcy'"]),
    ({"solver": "magic"}, ["solver", "'magic'", "'krylov', 'recycled', 'auto'"]),
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
    ({"data.samples": 3}, ["data", "samples = 3", "shard = 16", "nearest that are: 16"]),
    ({"data.splits.train": 13}, ["data.splits", "add up to 21", "expected 20"]),
    ({"schedule": {}}, ["schedule", "`cron` or `every`"]),
    ({"schedule": {"cron": "* * * * *", "every": 3}}, ["schedule", "`cron` or `every`"]),
    ({"training.watermark": 129}, ["training", "watermark is 129", "buffer.capacity, 128"]),
    (
        {"data.samples": 96},
        ["data.samples = 96", "60 samples of the split 'train'", "at least 64", "training.watermark"],
    ),
    (
        {"data.samples": 112, "uncertainty.levels": [0.96]},
        ["data.samples = 112", "15 samples of the split 'calibrate'", "at least 24", "uncertainty.levels"],
    ),
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
        RecipeError, match="no such file" if name.endswith(".yml") else "burgers, convection, darcy, darcy-3d"
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


def test_the_training_in_the_readme_is_a_training() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    block = next(part for part in readme.split("```yaml\n")[1:] if part.startswith("training:")).partition("```")[0]
    training = Pipeline.model_validate({"name": "readme", **yaml.safe_load(block)}).training
    assert [loss.kind for loss in training.losses] == ["relative_l2", "residual"]
    assert training.steps(100) == 250


@pytest.mark.parametrize("cron", ["0 3 * * *", "*/15 8-18 * * MON-FRI", "30 4 1,15 * *", "0 0 L * *", "0 0 * JAN 2#1"])
def test_a_cron_expression_is_one_for_the_server_too(cron: str) -> None:
    schedule = load("darcy", {"schedule.cron": cron}).schedule
    assert schedule is not None
    assert CronSchedule(cron=schedule.cron or "").cron == cron


def test_overrides_reach_any_depth() -> None:
    pipeline = load(
        "darcy", {"problem.shape": [32, 16], "problem.law.sigma": 0.5, "data.splits": {"train": 11, "steer": 1}}
    )
    assert isinstance(pipeline.problem, Darcy)
    assert pipeline.problem.shape == (32, 16)
    assert pipeline.problem.law == Lognormal(sigma=0.5, tau=3.0)
    assert pipeline.data.splits.steer == 1
    assert pipeline.data.splits.test == 3


def test_an_override_goes_into_what_is_written_short(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text(Path(TINY).read_text() + "solver: recycled\n")
    solver = load(str(path), {"solver.restart": 9, "solver.recycle": 4}).solver
    assert isinstance(solver, Recycled)
    assert (solver.restart, solver.recycle, solver.preconditioner) == (9, 4, Recycled().preconditioner)


def test_an_override_makes_a_section_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text("name: bare\n")
    pipeline = load(str(path), {"schedule.every": "PT6H", "gate.relative_l2": 0.5})
    assert pipeline.schedule is not None
    assert pipeline.schedule.every == timedelta(hours=6)
    assert pipeline.gate.relative_l2 == 0.5


def test_loading_again_does_not_see_earlier_overrides() -> None:
    load("darcy", {"problem.law.sigma": 0.5})
    assert load("darcy").problem == Darcy(shape=(64, 64))


def test_assignments_are_yaml() -> None:
    assert parse_assignments(["problem.shape=[32,32]", "name=a=b", "training.augment=false", "solver=direct"]) == {
        "problem.shape": [32, 32],
        "name": "a=b",
        "training.augment": False,
        "solver": "direct",
    }


@pytest.mark.parametrize("text", ["problem.shape", "", "=3"])
def test_an_assignment_without_path_or_value_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"expected PATH=VALUE, e\.g\. --set") as caught:
        parse_assignments([text])
    assert repr(text) in str(caught.value)


def test_an_assignment_that_is_not_yaml_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"'problem.shape=\[8, 8'.*not YAML.*line 1, column"):
        parse_assignments(["problem.shape=[8, 8"])


def test_profiles_load() -> None:
    local = load_profile("local")
    assert isinstance(local, Local)
    assert local.solve.count == 2
    for address in ("tcp://10.0.0.5:8786", "10.0.0.5:8786", "tls://[fe80::1]:8786"):
        assert load_profile(f"attach:{address}") == Attach(address=address)


def test_a_profile_of_ones_own_loads_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("kind: local\nsolve: {count: 7, memory: 2GiB}\n")
    local = load_profile(str(path))
    assert isinstance(local, Local)
    assert (local.solve.count, local.solve.memory, local.train.count) == (7, "2GiB", 1)


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("nope", "'nope' is unknown; expected one of attach, local, or the path of a .yaml file"),
        ("nope.yaml", "no such file"),
        ("attach", "expected `attach:ADDRESS`, e.g. --profile attach:tcp://"),
        ("attach:", "address: expected the address that `dask scheduler` prints, e.g. 'tcp://10.0.0.5:8786'"),
        ("attach:somewhere", "address: expected the address"),
        ("attach:tcp://somewhere", "address: expected the address"),
        ("attach:tcp://somewhere:port", "address: Port could not be cast to integer value as 'port'"),
        ("attach:tcp://somewhere:99999", "address: Port out of range 0-65535"),
        ("attach:http://somewhere:8786", "address: expected the address"),
        ("local:tcp://10.0.0.5:8786", "address: there is no such field, expected one of kind, solve, train"),
    ],
)
def test_a_bad_profile_is_refused(profile: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_profile(profile)
    assert said in str(caught.value)
    assert f"profile {profile!r}" in str(caught.value)


def test_a_bad_field_of_a_profile_is_named(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("kind: local\nsolve: {count: -1}\n")
    with pytest.raises(RecipeError, match=r"solve.count: Input should be greater than 0 \(got -1\)"):
        load_profile(str(path))
