"""One drawing, two pictures: what matplotlib keeps private and Ritz relies on, `RendererAgg._renderer`, among it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from ritz.tasks.report.figures.picture import Picture
from ritz.tasks.report.figures.theme import BACKGROUND, DARK, INK, LIGHT, SERIES, figure


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def colours(png: bytes) -> set[str]:
    """All colours of a picture, those of edges between two among them."""
    found = np.unique(pixels(png).reshape(-1, 3), axis=0)
    return {"#" + bytes(colour.tolist()).hex() for colour in found}


def plain() -> Figure:
    whole = figure(3, 2)
    axes = whole.add_axes((0, 0, 1, 1))
    axes.set_facecolor(BACKGROUND)
    axes.set(xlim=(0, 3), ylim=(0, 2), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return whole


def test_every_primitive_has_the_colours_of_its_theme() -> None:
    whole = plain()
    [axes] = whole.axes
    axes.axhspan(0, 0.3, color=SERIES[0])
    axes.plot([0.5, 1.5], [0.6, 0.6], "s", color=SERIES[1], markersize=20)
    axes.fill_between([2, 3], 0.5, 1.0, color=SERIES[2])
    axes.add_collection(LineCollection([[(2, 1.2), (3, 1.2)]], colors=SERIES[3], linewidths=9))
    axes.text(0.1, 1.2, "IIII", fontsize=40, color=INK, weight="bold")
    picture = Picture.of(whole)
    light, dark = colours(picture.light), colours(picture.dark)
    used = (LIGHT.background, LIGHT.ink, *LIGHT.series)
    assert set(used) <= light
    assert {DARK.background, DARK.ink, *DARK.series} <= dark
    assert not set(used) & dark
    assert pixels(picture.light).shape == pixels(picture.dark).shape == (300, 450, 3)


def test_what_stands_for_values_is_the_same_in_both() -> None:
    whole = plain()
    [axes] = whole.axes
    # The first colour is also one of the theme.
    axes.imshow(np.array([[0, 1]]), cmap="binary", extent=(0, 1.5, 0, 2), aspect="auto")
    axes.tripcolor([1.6, 3.0, 3.0], [0, 0, 2], [0.0, 0.5, 1.0], shading="gouraud", cmap="viridis")
    axes.set(xlim=(0, 3), ylim=(0, 2))
    picture = Picture.of(whole)
    light, dark = pixels(picture.light), pixels(picture.dark)
    assert (light[:, :220] == dark[:, :220]).all()
    assert light[150, 50].tolist() == [255, 255, 255]
    assert (light[280, 440] == dark[280, 440]).all()
    assert dark[20, 240].tolist() == [0x16, 0x1B, 0x21]


def test_half_transparent_colours_stay_so() -> None:
    whole = plain()
    whole.axes[0].axhspan(0, 2, color=SERIES[0], alpha=0.5)
    dark = pixels(Picture.of(whole).dark)[150, 200]
    mean = np.mean([[0x56, 0xB4, 0xE9], [0x16, 0x1B, 0x21]], axis=0)
    np.testing.assert_allclose(dark, mean, atol=2)


def test_a_figure_is_drawn_once(monkeypatch) -> None:
    drawn, original = [], Figure.draw

    def draw(self: Figure, renderer: Any) -> None:
        drawn.append(self)
        original(self, renderer)

    monkeypatch.setattr(Figure, "draw", draw)
    whole = figure(2, 1)
    whole.subplots().plot([0, 1])
    Picture.of(whole)
    assert drawn == [whole]
