from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

from ritz.compute.kind import Kind
from ritz.tasks.views.methods import methods
from tests.command import inside

ROOT = Path(__file__).parents[2]


def test_every_field_with_a_choice_is_there_and_every_kind_once() -> None:
    found = methods()
    assert {"problem", "solver", "surrogate", "training", "uncertainty"} <= {method.field for method in found}
    assert {"problem.law", "training.buffer", "training.losses", "training.optimiser", "training.rate"} <= {
        method.field for method in found
    }
    assert {"propagate.quantities", "import.layout"} <= {method.field for method in found}
    used = {(method.field, method.kind) for method in found if method.field.startswith("ritz.")}
    assert {
        ("ritz.compute.uncertainty.selection", "conformal_selection"),
        ("ritz.compute.uncertainty.events", "online_gradient"),
    } < used
    assert len({(method.field, method.kind) for method in found}) == len(found) > 40
    assert all(method.about for method in found)


def test_who_says_where_a_method_was_published_says_it_for_the_table_too() -> None:
    def below(cls: type[Kind]) -> list[type[Kind]]:
        return [one for sub in cls.__subclasses__() for one in (sub, *below(sub))]

    methods()
    kinds = [cls for cls in below(Kind) if cls.__module__.startswith("ritz.") and "kind" in cls.__annotations__]
    told = {cls for cls in kinds if "\nSource" in inspect.cleandoc(cls.__doc__ or "")}
    assert len(told) > 15
    assert told <= {cls for cls in kinds if cls.__dict__.get("sources")}


def test_figures_that_are_named_are_there() -> None:
    files = {file for method in methods() for one in method.sources for file in one.measured.split(", ") if file}
    assert files
    assert all((ROOT / "benchmarks" / file).exists() for file in files)


def test_the_command_lists_them() -> None:
    table = inside("methods")
    assert table.returncode == 0
    # The columns of a table are as wide as all that stands in them: a title goes over some lines.
    assert re.search(r"\bfno\b.*Fourier", table.stdout)
    rows = json.loads(inside("methods", "--json").stdout)
    [fno] = [row for row in rows if row["kind"] == "fno"]
    assert fno["sources"][0]["title"].startswith("Fourier neural operator for parametric")
    [row] = [row for row in rows if row["kind"] == "conformal"]
    assert row["sources"][0] == {
        "authors": "Angelopoulos et al.",
        "title": "Conformal risk control",
        "year": 2022,
        "where": "arXiv:2208.02814",
        "claim": "the expected share of points inside is at least the level",
        "measured": "bands_in_time.txt",
    }
