"""What a page says of error bars: where coverage differs, what is guaranteed, and how it looks along a line."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.fields.tensors import pack
from ritz.tasks.documents.evaluation import TruthError
from ritz.tasks.report.covered import Covered
from ritz.tasks.report.figures.picture import Picture
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.section import Section
from ritz.tasks.report.sections.coverage.cells import Cells
from ritz.tasks.report.sections.coverage.cut import Cut
from ritz.tasks.report.sections.coverage.parts import RENEWED, Parts
from ritz.tasks.report.sections.coverage.promise import Promise
from ritz.tasks.report.sections.coverage.times import OverTime
from tests.tasks.reported import make_material, make_record


@pytest.fixture
def facts() -> RunFacts:
    return RunFacts(Recorded.of(make_record()), make_material((12, 16)))


def text(section: Section[RunFacts], facts: RunFacts) -> str:
    """What a section says, with the captions of its figures."""
    drawn: dict[str, Picture] = {name: Picture(b"", b"") for name in section.figures(facts)}
    return " ".join(re.sub("<[^>]*>", " ", section.html(facts, drawn)).replace("\xa0", " ").split())


def changed(facts: RunFacts, **parts: Any) -> RunFacts:
    return RunFacts(facts.recorded, replace(facts.material, **parts))


def test_the_least_covered_samples_are_named(facts: RunFacts) -> None:
    shares = np.full(30, 0.9)
    shares[[7, 3, 28]] = 0.61, 0.7, 0.5
    found = changed(facts, covered=Covered(0.9, {}, shares, 100 + np.arange(30)))
    assert "Least covered of 30 test samples, by their ids: 128 (50 %), 107 (61 %), 103 (70 %), 100 (90 %)" in text(
        Parts(), found
    )


def test_panels_are_those_that_were_measured(facts: RunFacts) -> None:
    [draw] = Parts().figures(facts).values()
    figure = draw()
    assert figure is not None
    samples, rings, difficulty = figure.axes
    np.testing.assert_array_equal(samples.lines[1].get_ydata(), np.sort(facts.material.covered.shares))  # type: ignore[union-attr]
    assert [label.get_text() for label in rings.get_xticklabels()] == ["1", "2", "3–4", "5–8"]
    assert rings.get_ylim() == difficulty.get_ylim() != samples.get_ylim()
    record = make_record()
    for row in record["coverage"].values():
        del row["by_zone"]
    [draw] = Parts().figures(RunFacts(Recorded.of(record), facts.material)).values()
    figure = draw()
    assert figure is not None
    assert len(figure.axes) == 2


def test_coverage_over_time_has_intervals_that_hold_together(facts: RunFacts) -> None:
    assert (
        "Over 12 times 91 % to 91 % of the points are inside; the interval ends below nominal at 0 and begins above it "
        "at 1 of them. All times share one factor"
    ) in text(OverTime(), facts)
    assert "hold at all times together with 95 % (Bonferroni)" in text(OverTime(), facts)
    [draw] = OverTime().figures(facts).values()
    figure = draw()
    assert figure is not None
    [axes] = figure.axes
    assert axes.get_xlabel() == "step"
    assert [label.get_text() for label in axes.get_legend().get_texts()] == ["nominal", "interval", "points inside"]  # type: ignore[union-attr]
    np.testing.assert_allclose(axes.collections[0].get_paths()[0].get_extents().get_points()[:, 1], (0.89, 0.93))


def test_bands_by_time_stand_beside_the_coverage_that_is_expected(facts: RunFacts) -> None:
    record = make_record()
    record["recipe"]["uncertainty"] = {"kind": "conformal", "per": "time", "window": [0.5, 1.0]}
    record["coverage"]["0.9"]["expected"] = [0.9, 0.9066]
    own = RunFacts(Recorded.of(record), facts.material)
    assert "Green: between what it is expected" in text(OverTime(), own)
    assert "Each time has a factor of its own" in text(OverTime(), own)
    assert "at the stored times from 0.5 to 1 together." in text(Promise(), own)
    assert "of a single cell, of samples of another law" in text(Promise(), own)
    assert "of a single cell or time," in text(Promise(), facts)
    [draw] = OverTime().figures(own).values()
    figure = draw()
    assert figure is not None
    names = [label.get_text() for label in figure.axes[0].get_legend().get_texts()]  # type: ignore[union-attr]
    assert "expected" in names


def test_coverage_by_time_of_an_earlier_release_is_shown_with_its_own_intervals(facts: RunFacts) -> None:
    record = make_record()
    for row in record["coverage"].values():
        del row["by_step_together"]
    old = RunFacts(Recorded.of(record), facts.material)
    assert "intervals of 95 %, at each time by itself" in text(OverTime(), old)
    for row in record["coverage"].values():
        del row["by_step"]
    steady = RunFacts(Recorded.of(record), facts.material)
    assert not OverTime().figures(steady)
    assert text(OverTime(), steady) == ""


def test_times_of_the_steps_are_those_of_the_grid() -> None:
    material = make_material((12, 4, 6))
    timed = replace(material, attrs=material.attrs | {"t": {"axis": "T", "units": "s"}})
    values, name = timed.times(12)
    assert (name, values[-1], len(values)) == ("t (s)", 1.0, 12)
    assert timed.times(5)[1] == "step"


def test_bands_of_an_earlier_release_say_so() -> None:
    row = {"nominal": 0.9, "measured": 0.91, "width": 0.1}
    old = RunFacts(Recorded.of({"coverage": {"0.9": row}}), Material())
    assert text(Parts(), old) == RENEWED
    assert not Parts().figures(old)
    assert not Cells().figures(old)
    assert not Cut().figures(old)
    assert "`ritz evaluate` looks" in text(Promise(), old)


def test_chance_is_told_beside_the_scatter_of_the_cells(facts: RunFacts) -> None:
    cells = np.where(np.arange(192) % 2, 0.96, 0.84).reshape(12, 16)
    found = changed(facts, covered=Covered(0.9, {"u": cells}, np.full(25, 0.9), np.arange(25)))
    # √(0.9 · 0.1 / 25) = 0.06, which is the scatter here.
    assert "by 6 percentage points, the standard deviation of the binomial distribution; measured: 6." in text(
        Cells(), found
    )
    [draw] = Cells().figures(found).values()
    figure = draw()
    assert figure is not None
    cells_drawn, chance = figure.axes[1].patches
    assert cells_drawn.get_data().values.sum() == 192  # type: ignore[attr-defined]
    assert chance.get_data().values.sum() == pytest.approx(192, rel=0.01)  # type: ignore[attr-defined]


def test_the_error_of_the_grid_stands_beside_the_width_of_the_bands(facts: RunFacts) -> None:
    rms = float(np.sqrt(np.mean(facts.material.truth["u"] ** 2)))
    wide, narrow = (
        changed(
            facts,
            half_width={"u": np.full((2, 12, 16), share * rms)},
            truth_errors=facts.material.truth_errors.changed(  # type: ignore[union-attr]
                discretisation=TruthError(known=True, mean=0.005, max=0.01, samples=8)
            ),
        )
        for share in (0.02, 0.001)
    )
    said = text(Promise(), narrow)
    assert "is 0.00500 in the mean, 0.0100 at worst, over 8 samples." in said
    assert "over the field is 0.00100" in said
    assert said.endswith("fields on a finer grid may lie outside of these bands.")
    assert "over the field is 0.0200" in text(Promise(), wide)
    assert "may lie outside" not in text(Promise(), wide)
    assert "is not known: fields on a mesh are not carried to another one." in text(Promise(), facts)


def test_a_promise_is_that_of_the_method(facts: RunFacts) -> None:
    assert "at most 1/(n + 1) more" in text(Promise(), facts)
    record = make_record()
    record["recipe"]["uncertainty"] = {"kind": "of a package that is not installed"}
    assert "Guaranteed: nothing" in text(Promise(), RunFacts(Recorded.of(record), facts.material))


def test_a_cut_shows_the_median_sample_and_the_band_where_it_lies(facts: RunFacts) -> None:
    material = facts.material
    assert "Sample 3 (median error) along x, at y = 0.5455." in text(Cut(), facts)
    [draw] = Cut().figures(facts).values()
    figure = draw()
    assert figure is not None
    fields, error, small = figure.axes
    truth, prediction, centre = (field["u"][0, 6] for field in (material.truth, material.prediction, material.centre))
    np.testing.assert_array_equal(fields.lines[0].get_ydata(), truth)
    np.testing.assert_array_equal(error.lines[0].get_ydata(), prediction - truth)
    np.testing.assert_array_equal(small.lines[0].get_ydata(), centre - truth)
    # A band around the prediction has no field of its own.
    [draw] = Cut().figures(changed(facts, centre=material.prediction)).values()
    figure = draw()
    assert figure is not None
    assert len(figure.axes) == 2


def test_a_cut_through_a_mesh_has_gaps_where_that_has_holes() -> None:
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 5)))
    squares = [(row, column) for row in range(4) for column in range(4) if not (row in (1, 2) and column in (1, 2))]
    corners = np.array([5 * row + column for row, column in squares])
    triangles = np.concatenate([corners[:, None] + [0, 1, 6], corners[:, None] + [0, 6, 5]])
    field = (2 * x + y)[None]
    mesh = Material(
        sample_id=np.array([5]),
        truth={"T": field},
        prediction={"T": field + 0.1},
        half_width={"T": np.full((1, 25), 0.2)},
        dimensions=Dimensions(space=("node",), sizes={"node": 25}, variables={"T": ("node",)}, inputs=()),
        coordinates={"x": x, "y": y, "triangle": triangles},
    )
    facts = RunFacts(Recorded.of(make_record()), mesh)
    assert "at y = 0.5, linear between the nodes" in text(Cut(), facts)
    [draw] = Cut().figures(facts).values()
    figure = draw()
    assert figure is not None
    along, truth = (np.asarray(part, float) for part in figure.axes[0].lines[0].get_data())
    hole = (along > 0.26) & (along < 0.74)
    assert np.isnan(truth[hole]).all()
    outside = (along < 0.24) | (along > 0.76)
    np.testing.assert_allclose(truth[outside], 2 * along[outside] + 0.5, atol=1e-12)


def test_samples_are_chosen_by_their_coverage() -> None:
    shares = np.linspace(0.8, 1.0, 11)[::-1]
    blob = pack(
        {"cells/u": np.ones((2, 2), np.float32), "shares": shares, "sample_id": np.arange(50, 61)},
        {"level": 0.8, "samples": 11},
    )
    found = Covered.of(blob)
    assert found is not None
    assert (found.level, list(found.cells), found.least(2)[0]) == (0.8, ["u"], (60, 0.8))
    assert found.chosen() == {
        "least covered": 60, "coverage at the 10th percentile": 59, "median coverage": 55, "best covered": 50,
    }  # fmt: skip
    assert Covered.of(None) is None
