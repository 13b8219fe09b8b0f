from __future__ import annotations

import base64
import copy
import pickle
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from ritz.tasks.report.figures.picture import Picture
from ritz.tasks.report.material import Material, columns, typical
from ritz.tasks.report.page import pictures, render
from ritz.tasks.report.wording import duration, number, percent
from tests.tasks.reported import make_material, make_record

SECTIONS = ("headline", "samples", "training", "errors", "coverage", "solver", "ledger", "costs", "recipe", "data")

FIGURES = [
    "samples",
    "training",
    "stream",
    "errors",
    "rollout",
    "spectra",
    "calibration",
    "covered",
    "over_time",
    "cells",
    "cut",
    "tuning",
    "panel",
    "ledger",
]


class Page(HTMLParser):
    """Ids, tags, addresses and text of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.opened: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "img", "source", "br"):
            self.opened.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            if name in ("src", "srcset", "href", "action", "data", "poster"):
                self.addresses.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return make_record()


@pytest.fixture(scope="module")
def material() -> Material:
    return make_material((12, 16))


@pytest.fixture(scope="module")
def drawn(record: dict[str, Any], material: Material) -> dict[str, Picture]:
    return pictures(record, material)


@pytest.fixture(scope="module")
def page(record: dict[str, Any], material: Material, drawn: dict[str, Picture]) -> bytes:
    return render(record, material, drawn)


def only_fields(material: Material) -> Material:
    names = ("sample_id", "labels", "inputs", "truth", "prediction", "half_width", "coordinates", "attrs")
    return Material(**{name: getattr(material, name) for name in names})


def test_has_every_section(page: bytes) -> None:
    read = Page(page)
    assert set(SECTIONS) <= read.ids
    assert not read.opened
    assert "not measured in this run" not in read.text


def test_loads_nothing_from_outside(page: bytes) -> None:
    read = Page(page)
    assert not {"script", "link", "iframe", "object"} & set(read.tags)
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in read.addresses)
    assert not re.search(rb"https?://|@import|url\(", page)


def test_pictures_are_png_in_both_themes(page: bytes, drawn: dict[str, Picture]) -> None:
    assert list(drawn) == FIGURES
    found = [address.partition(",")[2] for address in Page(page).addresses if address.startswith("data:")]
    assert len(found) == len(set(found)) == 2 * len(FIGURES)
    assert all(base64.b64decode(picture).startswith(b"\x89PNG\r\n") for picture in found)


def test_numbers_of_the_record_appear(page: bytes) -> None:
    text = Page(page).text
    for expected in (
        "darcy@v3", "darcy@v7", "SNAP0SHOT", "1,024 samples (616 train, 153 test)", "2,376,449", "Released",
        "0.0203", "0.0181", "0.0377", "0.0633", "0.402", "0.102", "5.0 ×", "90.4 %", "50.4 %", "0.00900", "0.0153",
        "9.81e-9", "1e-8", "900 samples solved", "122 taken from the store", "2 failed (2 not converged)",
        "152 of 200 training steps (76 %)", "recycled (restart 50, recycle 20, preconditioner ilu), 1.34 times",
        "multigrid needs stencils on a grid",
        "recycled, carry, sorted", "18.2 ms", "4 min 12 s", "warming up 3.50 s", "263 MB", "2.13.0",
        "shape: [32, 32]", "ritz run darcy --set 'problem.shape=[32,32]'", "'/data/store/datasets/darcy'", "tag='v3'",
        "It never pays.", "19.4 s", "3 min 34 s", "2.71 ms", "0.830 ms", "3.19 ms", "never", "98,765", "0.0171",
        "multigrid at rtol 0.00100 on 2 times fewer points per axis; time ran out", "Until the first query 3 min 53 s",
        "the first feature (80 of 400 samples)",
        "node-hours, 2 nodes, in 3 attempts", "0.250", "core-hours of 14 workers", "3.50", "80 %",
    ):  # fmt: skip
        assert expected in text, expected


def test_text_is_escaped(record: dict[str, Any], material: Material) -> None:
    hostile = copy.deepcopy(record)
    attack = "</pre><script>alert('x')</script>\"><img src=http://evil.example/x onerror=alert(1)>$\\frac{"
    hostile["recipe"]["name"] = hostile["command"][2] = hostile["dataset"]["name"] = attack
    hostile["panel"][0]["method"] = hostile["model"]["version"] = hostile["versions"]["ritz"] = attack
    hostile["times"][attack] = 1.0
    hostile["baselines"][attack] = {"relative_l2": {"mean": 0.3}}
    attrs = {"u": {"long_name": attack, "units": "$\\bad{"}}
    ledger = material.ledger | {"solver": np.full(32, attack)}
    odd = Material(**(vars(material) | {"attrs": attrs, "ledger": ledger, "labels": ("$\\x{", attack)}))
    assert list(pictures(hostile, odd)) == FIGURES
    read = Page(render(hostile, odd, figures={}))
    assert "script" not in read.tags
    assert not any("evil" in address for address in read.addresses)
    assert read.text.count("<script>alert('x')</script>") >= 8
    assert set(SECTIONS) <= read.ids


def test_missing_parts_are_named() -> None:
    read = Page(render({"run": "early"}, Material()))
    assert set(SECTIONS) <= read.ids
    assert "img" not in read.tags
    for part in (
        "Fields of test samples", "Training curve", "Distribution of what the trainer saw", "Baselines",
        "Error metrics", "Coverage of the bands", "Comparison of the solvers", "Ledger", "Break-even", "Times",
        "Versions", "Recipe",
    ):  # fmt: skip
        assert f"{part}: not measured in this run." in read.text
    assert read.text.count("Not measured in this run.") == 5
    assert "What is guaranteed" not in read.text


def test_what_the_trainer_saw_is_told_in_numbers(page: bytes) -> None:
    """A quarter of sorted shards is 1.3 deviations off; random order is within half of one."""
    found = re.search(
        r"quarter of the arrivals is at most ([0-9.]+) standard deviations .* of the batches at most ([0-9.]+) \. "
        r".* arrivals stay below ([0-9.]+) in 95 %",
        Page(page).text,
    )
    assert found is not None
    arrivals, batches, chance = map(float, found.groups())
    assert 1.1 < arrivals < 1.5
    # Three passes over the whole set: a quarter of them has three quarters of one pass.
    assert 0.2 < batches < 0.6
    assert 0.3 < chance < 1


PARTS = (
    "dataset",
    "model",
    "metrics",
    "baselines",
    "coverage",
    "ledger",
    "choice",
    "panel",
    "tuning",
    "times",
    "paths",
    "cost",
    "usage",
)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("empty", [None, "absent"])
def test_one_missing_part_leaves_the_others(
    record: dict[str, Any], material: Material, part: str, empty: str | None
) -> None:
    less = {key: value for key, value in record.items() if key != part} | ({} if empty else {part: None})
    text = Page(render(less, Material(relative_l2=material.relative_l2), figures={})).text
    assert ("0.0203" in text) == (part != "metrics")
    assert ("9.81e-9" in text) == (part != "ledger")


def test_offline_run_without_arrivals(record: dict[str, Any], material: Material) -> None:
    offline = copy.deepcopy(record)
    offline["times"] |= {"last_shard": None, "steps_while_solving": 0}
    offline["choice"], offline["panel"] = {}, []
    missed = ["mean relative L2 0.02 is above 0.01"]
    offline["model"] |= {"release": "missed", "released": False, "missed": missed}
    text = Page(render(offline, Material(curve=material.curve), figures={"training": Picture(b"", b"")})).text
    assert "200 training steps, all of them on samples that had been solved before" in text
    assert "Nothing had to be chosen" in text
    assert "Not released: mean relative L2 0.02 is above 0.01." in text


def test_not_finite_values_do_not_break_it(record: dict[str, Any], material: Material) -> None:
    broken = copy.deepcopy(record)
    broken["metrics"]["relative_l2"] = {"mean": float("nan"), "median": None, "p95": float("inf"), "max": 1.0}
    broken["coverage"]["0.9"] |= {"measured": float("nan"), "width": None}
    broken["panel"][0]["iterations"] = broken["times"]["total"] = None
    holes = {"u": np.where(np.arange(12)[:, None] < 3, np.nan, material.truth["u"])}
    nowhere = np.full(30, np.nan)
    spoilt = Material(**(vars(material) | {"prediction": holes, "relative_l2": nowhere}))
    assert list(pictures(broken, spoilt)) == [name for name in FIGURES if name != "errors"]
    assert set(SECTIONS) <= Page(render(broken, spoilt, figures={})).ids


@pytest.mark.parametrize("space", [(40,), (12, 16), (4, 6, 8)], ids=["1D", "2D", "3D"])
def test_fields_of_every_dimension(space: tuple[int, ...]) -> None:
    assert list(pictures({}, only_fields(make_material(space)))) == ["samples"]


def test_bare_fields_without_coordinates_attributes_or_bands(record: dict[str, Any]) -> None:
    field = np.ones((1, 5, 7))
    bare = Material(
        sample_id=np.array([1]), inputs={}, truth={"u": field, "v": field}, prediction={"u": field, "v": field}
    )
    assert list(pictures({"coverage": record["coverage"]}, bare)) == [
        "samples",
        "samples_2",
        "calibration",
        "covered",
        "over_time",
    ]


def test_pictures_differ_with_the_data_and_only_with_it() -> None:
    fields = only_fields(make_material((8,), n=1))
    first = pictures({}, fields)
    assert list(first) == ["samples"]
    assert pictures({}, pickle.loads(pickle.dumps(fields))) == first
    shifted = {"u": fields.prediction["u"] + 1}
    assert pictures({}, Material(**(vars(fields) | {"prediction": shifted}))) != first


def test_draws_the_pictures_itself() -> None:
    fields, bare = only_fields(make_material((8,), n=1)), {"run": "one"}
    assert render(bare, fields) == render(bare, fields, pictures(bare, fields))


def test_leaves_out_the_pictures_that_are_not_given(record: dict[str, Any], material: Material) -> None:
    assert "img" not in Page(render(record, material, figures={})).tags


def test_typical_samples_are_ordered_by_error() -> None:
    errors = np.random.default_rng(1).permutation(101) / 100.0
    errors[errors == 1.0] = np.nan
    assert [errors[position] for position in typical(errors).values()] == [0.05, 0.5, 0.94, 0.99]
    assert typical(np.array([np.nan])) == {}
    assert typical(np.array([0.5])) == {"worst error": 0}


def test_columns_turn_none_into_nan() -> None:
    table = columns([{"step": 1, "validate": None}, {"step": 2, "validate": 0.5}])
    np.testing.assert_array_equal(table["validate"], [np.nan, 0.5])
    assert columns([]) == {}


def test_numbers_are_written_for_readers() -> None:
    values = (0.02, 9.81e-9, 1e-8, 999.7, 12345.6, 1024, None, float("nan"), float("inf"))
    assert [number(value) for value in values] == [
        "0.0200", "9.81e-9", "1e-8", "1,000", "12,346", "1,024", "–", "–", "inf",
    ]  # fmt: skip
    assert [percent(value) for value in (0.9, 0.9042, None)] == ["90\xa0%", "90.4\xa0%", "–"]
    assert [duration(value) for value in (0.0123, 71.52, 252, 4020, None)] == [
        "12.3\xa0ms", "71.5\xa0s", "4\xa0min\xa012\xa0s", "1\xa0h\xa07\xa0min", "–",
    ]  # fmt: skip
