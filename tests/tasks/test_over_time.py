"""What a report shows of predictions in time: films, errors from step to step, spectra."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ritz.tasks.report.figures.film import FRAMES, LEAST, Film
from ritz.tasks.report.figures.picture import Picture
from ritz.tasks.report.material import Material, RunFacts
from ritz.tasks.report.page import pictures, render
from ritz.tasks.report.recorded import Recorded
from ritz.tasks.report.sections.rollouts import Rollouts, Spectra
from tests.tasks.reported import make_material, make_record, make_rollout


def material(steps: int, *space: int) -> Material:
    """Return two samples over time, the second of which is the one of median error."""
    names = ("time", "y", "x") if len(space) == 2 else ("time", "x")
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((2, steps, *space)).cumsum(axis=1)
    shape = (steps, *space)
    return Material(
        sample_id=np.array([7, 42]),
        labels=("small error (5th percentile)", "median error"),
        truth={"u": truth},
        prediction={"u": truth + 0.1},
        coordinates={name: np.linspace(0.5, 5, points) for name, points in zip(names, shape, strict=True)},
        attrs={
            "time": {"units": "s", "axis": "T"},
            "x": {"axis": "X"},
            "y": {"axis": "Y"},
            "u": {"long_name": "slope"},
        },
        dimensions=None,
    )


def in_space(whole: Material) -> Material:
    """Return the material with its dimensions."""
    from ritz.compute.fields.dimensions import Dimensions

    shape = whole.truth["u"].shape[1:]
    names = tuple(whole.coordinates)
    dimensions = Dimensions(
        space=names[1:], sizes=dict(zip(names, shape, strict=True)), variables={"u": names}, inputs=()
    )
    return replace(whole, dimensions=dimensions)


@pytest.mark.parametrize("space", [(24,), (12, 20), (100, 130)])
def test_a_film_shows_the_median_sample_at_times_from_the_first_to_the_last(space: tuple[int, ...]) -> None:
    whole = in_space(material(40, *space))
    film = Film.of(whole, "u")
    assert film is not None
    assert film.row == 1
    assert len(film.times) == FRAMES
    assert (film.times[0], film.times[-1]) == ("time = 0.5 s", "time = 5 s")
    np.testing.assert_array_equal(film.truth[-1], whole.truth["u"][1, -1])
    picture = Picture.of(film.draw(whole))
    size = Image.open(io.BytesIO(picture.light)).size
    # Frames of whole pixels, one below the other.
    assert size[1] % FRAMES == 0
    assert size[0] / (size[1] / FRAMES) == pytest.approx(film.ratio[0] / film.ratio[1], rel=1e-12)
    assert len(picture.light) + len(picture.dark) < 2_000_000


def test_every_output_has_a_film_and_many_share_the_frames() -> None:
    one = in_space(material(40, 12, 20))
    dimensions = one.dimensions
    assert dimensions is not None

    def of(outputs: int) -> Material:
        names = [f"u{number}" for number in range(outputs)]
        variables = dict.fromkeys(names, dimensions.variables["u"])
        return replace(
            one,
            truth={name: (at + 1) * one.truth["u"] for at, name in enumerate(names)},
            prediction={name: (at + 1) * one.prediction["u"] for at, name in enumerate(names)},
            dimensions=dimensions.model_copy(update={"variables": variables}),
        )

    for outputs, frames in ((1, 16), (2, 16), (3, 10), (12, 4)):
        films = [Film.of(of(outputs), name) for name in of(outputs).truth]
        assert [len(film.times) for film in films if film is not None] == [frames] * outputs
        assert all(film is not None and film.times[-1] == "time = 5 s" for film in films)
    whole = of(3)
    page = render({"run": "one"}, whole, pictures({"run": "one"}, whole)).decode()
    # Each with buttons of its own.
    assert page.count('<figure class="film">') == 3
    for name in ("film", "film_2", "film_3"):
        assert len(re.findall(rf'<input type="radio" name="{name}"', page)) == 1 + 10
        assert page.count(f'id="{name}-play"') == page.count(f'for="{name}-play"') == 1
    for name in whole.truth:
        assert f"{name} of test sample 42 (median error) over time" in page


def test_a_film_of_a_part_says_where_it_lies() -> None:
    whole = in_space(material(6, 12, 20))
    assert whole.dimensions is not None
    # Along y there are numbers of a site, not points of space.
    cut = replace(whole, dimensions=whole.dimensions.model_copy(update={"space": ("x",)}))
    page = render({"run": "one"}, cut, pictures({"run": "one"}, cut)).decode()
    assert "(median error) over time, at y = 0.5: truth (solid) and prediction (dashed)" in page
    page = render({"run": "one"}, whole, pictures({"run": "one"}, whole)).decode()
    assert "(median error) over time: truth and prediction on one colour scale" in page


def test_every_frame_has_its_own_state() -> None:
    whole = in_space(material(5, 24))
    film = Film.of(whole, "u")
    assert film is not None
    pixels = np.asarray(Image.open(io.BytesIO(Picture.of(film.draw(whole)).light)))
    frames = np.split(pixels, len(film.times))
    assert len({frame.tobytes() for frame in frames}) == len(frames) == 5


def test_too_few_times_a_mesh_and_steady_fields_make_no_film() -> None:
    assert Film.of(in_space(material(LEAST - 1, 24)), "u") is None
    assert Film.of(in_space(material(LEAST, 24)), "u") is not None
    assert Film.of(make_material((12, 16)), "u") is None
    assert Film.of(replace(in_space(material(8, 24)), prediction={}), "u") is None


def test_a_film_is_played_by_buttons_that_the_keyboard_reaches_and_by_no_script() -> None:
    whole = in_space(material(8, 24))
    page = render({"run": "one"}, whole, pictures({"run": "one"}, whole)).decode()
    assert "<script" not in page
    film = page[page.index('<figure class="film">') :]
    film = film[: film.index("</figure>")]
    assert len(re.findall(r'<input type="radio" name="film"', film)) == 1 + 8
    assert film.count(" checked") == 1
    assert 'aria-label="time = 0.5 s" title="time = 0.5 s" checked' in film
    assert '<label for="film-play">play</label>' in film
    assert "--frames: 8" in film
    encoded = re.search(r'<img src="data:image/png;base64,([^"]+)"', film)
    assert encoded is not None
    assert base64.b64decode(encoded[1]).startswith(b"\x89PNG")
    assert "prefers-reduced-motion" in page
    # One rule per frame that there may be, besides the first.
    assert page.count("nth-of-type(") == FRAMES - 1
    assert "slope u of test sample 42 (median error) over time: truth (solid)" in film


def facts(**entries: object) -> RunFacts:
    return RunFacts(Recorded.of(make_record() | entries), make_material((12, 16)))


def said(whole: RunFacts) -> str:
    """Return what the section says, the cells of its table with spaces between."""
    return " ".join(re.sub(r"<[^>]+>", " ", Rollouts().html(whole, {})).split())


def test_the_table_has_all_methods_over_windows_with_their_valid_times() -> None:
    error = {"mean": 4.25, "median": 4.0, "p95": 5.0, "max": 5.0, "p05": 2.0, "min": 1.0}
    record = make_record()
    its = {"": error, "to_the_end": error | {"mean": 0.25}}
    whole = facts(
        metrics=record["metrics"] | {"valid_time": its},
        baselines={"persistence": {"valid_time": {"": error | {"mean": 0.75}}}},
    )
    text = said(whole)
    # Steps 6 to 12 are not all there.
    assert "step 1" in text
    assert "steps 6 to 12" not in text
    for row in ("this model 0.00500", "persistence: the first state 0.150", "the solver in equal seconds 0.100"):
        assert row in text, row
    for value in ("4.25", "0.750", "3.21", "25 %"):
        assert value in text, value
    assert "Lyapunov" not in text
    assert "the explicit steps of the problem, on 2 times fewer points per axis, with 4 times fewer steps" in text


@pytest.mark.parametrize(
    ("exponents", "asked", "solver", "which"),
    [
        (
            (0.048, 0.048),
            [{"kind": "valid_time", "exponent": 0.048}],
            "0.154",
            "the recipe gives the largest Lyapunov exponent λ = 0.0480, per unit of time",
        ),
        (
            (1.1, 2.25),
            [{"kind": "valid_time", "exponent": None}],
            "0.777",
            "the problem states the largest Lyapunov exponent λ = 1.10 to 2.25, by the parameters of a sample, per",
        ),
    ],
)
def test_valid_times_count_in_lyapunov_times_where_there_is_an_exponent(
    exponents: tuple[float, float], asked: list[dict[str, Any]], solver: str, which: str
) -> None:
    error = {"mean": 4.25, "median": 4.0, "p95": 5.0, "max": 5.0, "p05": 2.0, "min": 1.0}
    record = make_record()
    whole = facts(
        metrics={"valid_time": {"": error, "lyapunov_times": error | {"mean": 0.204}}},
        baselines={"persistence": {"valid_time": {"": error | {"mean": 0.75}, "lyapunov_times": {"mean": 0.036}}}},
        equal_seconds=record["equal_seconds"] | {"lyapunov_times": 0.777},
        recipe=record["recipe"] | {"evaluation": asked},
    )
    text = said(replace(whole, material=replace(whole.material, rollout=make_rollout().changed(exponents=exponents))))
    assert "valid time in Lyapunov times" in text
    for row in ("4.25 0.204", "0.750 0.0360", f"3.21 {solver}"):
        assert row in text, row
    assert which in text


def test_a_solver_that_is_never_as_quick_is_told_with_its_time() -> None:
    solver = make_record()["equal_seconds"]
    trial = {"space": 8, "time": 1, "rtol": 0.1, "solver": {"kind": "multigrid"}, "error": 0.4, "seconds": 0.005}
    slow = {"seconds": 0.00083, "samples": 8, "complete": False, "best": None, "quickest": trial}
    text = said(facts(equal_seconds=slow))
    assert "the solver in equal seconds" not in text
    assert "No solve is as quick as a prediction: a prediction, one at a time, takes 0.830 ms" in text
    assert "multigrid at rtol 0.100, on 8 times fewer points per axis, takes 5.00 ms" in text
    assert "Time ran out" in text
    assert "Time ran out" not in said(facts(equal_seconds=solver))


def test_spectra_have_a_figure_per_output() -> None:
    whole = make_material((12, 16))
    one = make_rollout().spectra["u"]
    two = replace(whole, rollout=make_rollout().changed(spectra={"u": one, "v": one}))
    assert list(Spectra().figures(RunFacts(Recorded(), two))) == ["spectra", "spectra_2"]
    for figure in Spectra().figures(RunFacts(Recorded(), two)).values():
        assert figure() is not None
