from __future__ import annotations

from pathlib import Path

import pytest

from ritz.storage.layout import LAYOUT_VERSION
from ritz.tasks.recipes import load, names
from ritz.tasks.views.layouts import text

KEPT = Path(__file__).parents[2] / "deployments" / "layouts"


@pytest.mark.parametrize("recipe", names())
def test_the_layout_of_a_shipped_recipe_is_the_one_that_is_kept(recipe: str) -> None:
    kept = (KEPT / f"{recipe}.txt").read_text(encoding="utf-8")
    if kept != text(load(recipe)):
        raised = kept.split("\n")[0] != f"layout {LAYOUT_VERSION}"
        pytest.fail(
            "run `make layouts`" if raised else "raise LAYOUT_VERSION in storage/layout.py, then `make layouts`"
        )


def test_no_layout_is_kept_of_a_recipe_that_is_gone() -> None:
    assert sorted(path.stem for path in KEPT.iterdir()) == names()


def test_the_number_of_samples_is_no_matter_of_structure() -> None:
    assert text(load("darcy", {"data.samples": 4096})) == text(load("darcy"))
    assert text(load("darcy", {"data.shard": 32})) != text(load("darcy"))
