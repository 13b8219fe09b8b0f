"""A figure is drawn once and gives two pictures, on a white and on a dark background."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.tasks.report.figures.theme import DARK, LIGHT

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.figure import Figure

PRIMITIVES: dict[str, tuple[int, ...]] = {
    "draw_path": (3,),
    "draw_markers": (5,),
    "draw_path_collection": (6, 7),
    "draw_text_image": (),
    "draw_image": (),
    "draw_quad_mesh": (),
    "draw_gouraud_triangles": (),
}
"""What Agg draws, and which arguments are colours of the theme; those of images and meshes stand for values."""

COMPRESSION = 3
"""zlib's level: 6, Pillow's, makes a picture a tenth smaller and takes 1.6 times as long."""


@dataclass(frozen=True)
class Picture:
    """A figure as PNG, on a white and on a dark background."""

    light: bytes
    dark: bytes

    @staticmethod
    def of(figure: Figure) -> Picture:
        """Draw a figure that has the colours of `LIGHT`; the same figure always gives the same bytes."""
        from matplotlib.backend_bases import FigureCanvasBase

        width, height = (int(pixels) for pixels in figure.bbox.size)
        renderer, *images = _renderers(width, height, figure.dpi)
        canvas = FigureCanvasBase(figure)
        # What a figure asks for the renderer that measures its texts; it keeps their sizes for the drawing.
        canvas.get_renderer = lambda: renderer  # type: ignore[attr-defined]  # Agg's own method, replaced
        engine = figure.get_layout_engine()
        if engine is not None:
            # Laid out here: to draw with a layout engine would do it again.
            engine.execute(figure)
            figure.set_layout_engine("none")
        figure.draw(renderer)
        return Picture(*(_png(image) for image in images))


def _renderers(width: int, height: int, dpi: float) -> tuple[RendererAgg, RendererAgg, RendererAgg]:
    """Return a renderer that draws on two others, of which the second gets the colours of `DARK`.

    Layout, artists and glyphs, which are Python, are done once; Agg's primitives, which are not, are done twice.
    """
    from matplotlib.backends.backend_agg import RendererAgg

    both, light, dark = (RendererAgg(width, height, dpi) for _ in range(3))
    # The renderer hands every primitive to this private part of it: tests/tasks/test_pictures.py.
    both._renderer = _Twice(light._renderer, dark._renderer)
    both._update_methods()
    return both, light, dark


class _Twice:
    """Agg's primitives on two images."""

    def __init__(self, light: Any, dark: Any) -> None:
        for name, colours in PRIMITIVES.items():
            setattr(self, name, _twice(getattr(light, name), getattr(dark, name), colours, name == "draw_text_image"))
        self.copy_from_bbox = light.copy_from_bbox


def _twice(
    light: Callable[..., None], dark: Callable[..., None], colours: tuple[int, ...], context_last: bool
) -> Callable[..., None]:
    """Return what draws a primitive on both images, its context and its ``colours`` translated for the second."""
    context = -1 if context_last else 0

    def draw(*given: Any, **named: Any) -> None:
        light(*given, **named)
        there, gc = list(given), given[context]
        for place in colours:
            if place < len(there):
                there[place] = _translated(there[place])
        before = gc.get_rgb()
        gc.set_foreground(_dark(tuple(before)), isRGBA=True)
        dark(*there, **named)
        gc.set_foreground(before, isRGBA=True)

    return draw


def _translated(colours: Any) -> Any:
    """Return one colour, or an array of them, as the dark theme has it."""
    if colours is None or len(colours) == 0:
        return colours
    if np.ndim(colours) == 1:
        return _dark(tuple(colours))
    return np.array([_dark(tuple(colour)) for colour in colours])


@cache
def _dark(colour: tuple[float, ...]) -> tuple[float, ...]:
    """Return the colour of `DARK` in the place of one of `LIGHT`, with its opacity; any other as it is."""
    here = tuple(round(255 * part) for part in colour[:3])
    there = _places().get(here)
    return colour if there is None else (*there, *colour[3:])


@cache
def _places() -> dict[tuple[int, ...], tuple[float, ...]]:
    from matplotlib.colors import to_rgb

    pairs = zip(LIGHT.colours, DARK.colours, strict=True)
    return {tuple(round(255 * part) for part in to_rgb(here)): to_rgb(there) for here, there in pairs}


def _png(drawn: RendererAgg) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    # The background is opaque.
    image = Image.fromarray(np.asarray(drawn.buffer_rgba())).convert("RGB")
    image.save(buffer, "png", compress_level=COMPRESSION)
    return buffer.getvalue()
