"""Overrides of a recipe: `--set` and what a caller of a served run gives."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import Lognormal, TwoPhase
from ritz.compute.solvers.iterative.recycled import Recycled
from ritz.compute.training.stepped import Stepped
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.overrides import parse_assignments
from ritz.tasks.recipes import load
from tests.command import TINY


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


def test_another_kind_takes_what_is_alike_and_drops_the_rest() -> None:
    changed = load("darcy", {"problem.law.kind": "two_phase", "problem.law.high": 30.0}).problem
    assert isinstance(changed, Darcy)
    assert changed == Darcy(shape=(64, 64), law=TwoPhase(tau=3.0, alpha=2.0, high=30.0))
    burgers = load("darcy", {"problem.kind": "burgers", "data.samples": 320}).problem
    assert burgers.kind == "burgers"
    offline = load("darcy", {"training.kind": "offline", "training.epochs": 3}).training
    shipped = load("darcy").training
    assert isinstance(offline, Stepped)
    assert isinstance(shipped, Stepped)
    assert (offline.kind, offline.batch_size, offline.optimiser) == ("offline", 8, shipped.optimiser)
    # A field that is asked for by name is never dropped.
    for order in (1, -1):
        wanted = [("problem.law.sigma", 0.5), ("problem.law.kind", "two_phase")][::order]
        with pytest.raises(RecipeError, match=r"problem.law.sigma: there is no such field.*that have it: lognormal"):
            load("darcy", dict(wanted))


def test_overrides_do_the_same_in_any_order() -> None:
    wanted = {"surrogate": "unet", "surrogate.width": 8, "solver.kind": "krylov", "solver.restart": 9}
    forth, back = load("darcy", wanted), load("darcy", dict(reversed(wanted.items())))
    assert forth == back
    assert forth.document()["surrogate"]["width"] == 8
    assert forth.document()["solver"]["restart"] == 9


def test_overrides_reach_the_items_of_a_list() -> None:
    training = load("darcy", {"training.losses.0.weight": 0.5, "training.losses.1.kind": "relative_h1"}).training
    assert isinstance(training, Stepped)
    assert [(loss.kind, loss.weight) for loss in training.losses] == [("relative_l2", 0.5), ("relative_h1", 1.0)]
    assert load("darcy", {"problem.shape.1": 32}).document()["problem"]["shape"] == [64, 32]
    heat = load("heat", {"problem": "heat", "problem.initial.tau": 4.0}).document()["problem"]["initial"]
    assert heat == {"tau": 4.0, "alpha": 3.0, "modes": 32}


def test_overrides_do_not_change_what_they_were_given() -> None:
    given = {"training": {"kind": "online", "buffer": {"kind": "reservoir"}}, "training.buffer.capacity": 64}
    load("darcy", given)
    assert given["training"] == {"kind": "online", "buffer": {"kind": "reservoir"}}


def test_a_path_that_goes_too_deep_is_refused() -> None:
    with pytest.raises(RecipeError, match="names with dots") as caught:
        load("darcy", {"a." * 100_000 + "a": 1})
    assert len(str(caught.value)) < 400
    with pytest.raises(RecipeError, match="at most 1000 paths"):
        load("darcy", dict.fromkeys(map(str, range(1001))))


def test_the_same_path_twice_needs_the_same_value() -> None:
    assert parse_assignments(["data.samples=32", "data.samples=32"]) == {"data.samples": 32}
    with pytest.raises(RecipeError, match=r"--set data\.samples is given twice, 32 and 64"):
        parse_assignments(["data.samples=32", "data.samples=64"])


def test_two_bad_assignments_are_named_together() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_assignments(["data.samples", "problem.shape=[8", "name=ok"])
    assert len(str(caught.value).splitlines()) == 2
