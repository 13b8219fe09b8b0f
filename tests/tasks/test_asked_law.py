"""Another law for a model, as a user asks for it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ritz.compute.problems.convection import Convection
from ritz.compute.problems.darcy import Darcy
from ritz.compute.problems.laws import Lognormal, TwoPhase
from ritz.compute.problems.poisson import Poisson
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.asked_law import LONGEST, asked_law, law_text

DARCY = Darcy(shape=(12, 16), law=Lognormal(sigma=0.5))
KNOWN = {"rough": {"law": {"sigma": 2.0}}}


@pytest.mark.parametrize(
    ("given", "name", "changes"),
    [
        ("{sigma: 1.5}", "sigma-1.5", {"law": {"sigma": 1.5}}),
        ("{law: {sigma: 1.5, tau: 4}}", "sigma-1.5-tau-4", {"law": {"sigma": 1.5, "tau": 4}}),
        ("{kind: two_phase, low: 1.0e-3}", "two_phase-low-0.001", {"law": {"kind": "two_phase", "low": 0.001}}),
        ("rough", "rough", KNOWN["rough"]),
        ({"law": "two_phase"}, "two_phase", {"law": "two_phase"}),
    ],
)
def test_a_law_is_fields_of_its_own_or_of_the_problem_or_a_name_of_the_recipe(
    given: Any, name: str, changes: dict[str, Any]
) -> None:
    found = asked_law(given, DARCY, KNOWN)
    assert (found.name, found.changes) == (name, changes)
    assert found.problem.model_fields_set >= {"law"}
    assert found.problem != DARCY
    assert asked_law(given, DARCY, KNOWN, "mine").name == "mine"


def test_values_reach_the_problem() -> None:
    assert asked_law("{sigma: 1.5}", DARCY, {}).problem == Darcy(shape=(12, 16), law=Lognormal(sigma=1.5))
    assert asked_law("{kind: two_phase}", DARCY, {}).problem == Darcy(shape=(12, 16), law=TwoPhase())
    flow = asked_law("{diffusivity: 0.02, law: {tau: 4}}", Convection(shape=(8, 8)), {})
    assert isinstance(flow.problem, Convection)
    assert (flow.problem.diffusivity, flow.problem.law.tau) == (0.02, 4)
    assert flow.name == "diffusivity-0.02-tau-4"
    source = asked_law("{source: {tau: 9}}", Poisson(shape=(8, 8)), {})
    assert (source.name, law_text(source.changes)) == ("source.tau-9", "source.tau 9")


def test_a_name_fits_a_file() -> None:
    fields = {"sigma": 1.23456, "tau": 3.14159, "alpha": 2.71828}
    long = asked_law(fields, DARCY, {}).name
    assert len(long) <= LONGEST
    many = asked_law({name: value + 1e-9 for name, value in fields.items()} | {"kind": "lognormal"}, DARCY, {}).name
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", many)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{sigma: -1}", "--law: law.sigma: Input should be greater than 0 (got -1)"),
        ("{sigmas: 1}", "--law: law.sigmas: there is no such field, expected one of "),
        ("{kind: lognorml}", "--law: law: there is no kind 'lognorml', expected one of 'lognormal', 'two_phase'"),
        ("{sigma: 0.5}", "--law: it changes nothing"),
        ("{shape: [8, 8]}", "--law: its fields have the shapes {'a': (1, 8, 8), 'u': (1, 8, 8)}, expected {'a': ("),
        ("rugh", "--law is 'rugh', expected fields with other values, e.g. '{sigma: 1.5}', or one of "
         "uncertainty.shifts of the recipe of the model, which has 'rough'; did you mean 'rough'?"),
        ("[1, 2]", "--law is [1, 2], expected fields with other values"),
        ("{}", "--law is {}, expected fields with other values"),
        ("{sigma: [", "--law is not YAML"),
    ],
)  # fmt: skip
def test_what_is_no_law_of_the_problem_is_refused_in_a_line(given: str, said: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(said)) as caught:
        asked_law(given, DARCY, KNOWN)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a/b", "-x", "x" * (LONGEST + 1)])
def test_a_name_that_is_none_of_a_file_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=f"--name is .*, expected 1 to {LONGEST} letters"):
        asked_law("{sigma: 1.5}", DARCY, {}, name)
