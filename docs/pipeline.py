"""Draw the picture of the README: ``python docs/pipeline.py`` writes docs/pipeline.svg."""

from __future__ import annotations

from html import escape
from pathlib import Path

TARGET = Path(__file__).with_suffix(".svg")

WIDTH, HEIGHT = 960, 318

INK, MUTED, LINE, BACKGROUND = "#1b2026", "#59636e", "#8b95a1", "#ffffff"

STAGES = {
    "generate": ("#0072b2", "Workers solve sequences of", "related systems. Each answer", "has its true residual."),
    "train": ("#d55e00", "A trainer learns from solved", "samples while the workers", "solve the next ones."),
    "evaluate": ("#009e73", "Held-out samples give the", "error, beside baselines and", "the fastest solver."),
    "quantify": ("#b05f93", "Other held-out samples give", "error bands; the test split", "measures their coverage."),
}
"""Stage → its colour and the lines of its box."""

BOX, GAP, LEFT, TOP, TALL = 214, 20, 22, 66, 96


def text(
    x: float, y: float, content: str, size: float, fill: str = MUTED, weight: str = "normal", at: str = "start"
) -> str:
    """Return a line of text; ``at`` is its anchor."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}" font-weight="{weight}" text-anchor="{at}">'
        f"{escape(content)}</text>"
    )


def box(x: float, y: float, width: float, height: float, colour: str, fill: str = BACKGROUND) -> str:
    """Return a rounded rectangle."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7" fill="{fill}" stroke="{colour}" '
        'stroke-width="1.6"/>'
    )


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a line with a head at its second end."""
    ends = f'x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"'
    return f'<line {ends} stroke="{LINE}" stroke-width="1.6" marker-end="url(#head)"/>'


def stage(number: int, name: str, colour: str, *lines: str) -> list[str]:
    """Return the box of a stage, and the arrow to the next."""
    x = LEFT + number * (BOX + GAP)
    parts = [box(x, TOP, BOX, TALL, colour), text(x + 14, TOP + 26, name, 17, colour, "bold")]
    parts += [text(x + 14, TOP + 48 + 17 * row, line, 12) for row, line in enumerate(lines)]
    if number < len(STAGES) - 1:
        parts.append(arrow(x + BOX + 2, TOP + TALL / 2, x + BOX + GAP - 3, TOP + TALL / 2))
    return parts


def picture() -> str:
    """Return the whole picture as SVG."""
    right = LEFT + len(STAGES) * BOX + (len(STAGES) - 1) * GAP
    bottom, below = TOP + TALL, TOP + TALL + 44
    parts = [text(LEFT, 30, "One recipe (YAML), one command: ritz run RECIPE", 17, INK, "bold")]
    parts.append(
        text(LEFT, 50, "Dask workers compute, Prefect runs the stages, a killed run goes on where it stopped.", 12)
    )
    for number, (name, lines) in enumerate(STAGES.items()):
        parts += stage(number, name, *lines)
    centres = [LEFT + number * (BOX + GAP) + BOX / 2 for number in range(len(STAGES))]
    dataset = 2 * BOX + GAP
    parts.append(box(LEFT, below, dataset, 84, INK, "#f3f5f7"))
    parts.append(text(LEFT + 14, below + 26, "dataset@v1, v2, …", 15, INK, "bold"))
    parts.append(
        text(LEFT + 14, below + 47, "Versions in one Zarr store (Icechunk), on disk or in S3: inputs, fields,", 12)
    )
    parts.append(
        text(LEFT + 14, below + 64, "split, true residual and solver of every sample. A version can grow.", 12)
    )
    model = LEFT + dataset + GAP
    parts.append(box(model, below, right - model, 84, INK, "#f3f5f7"))
    parts.append(text(model + 14, below + 26, "model@v1, report", 15, INK, "bold"))
    parts.append(
        text(model + 14, below + 47, "Predictions with error bands; a card with recipe, data, error, coverage,", 12)
    )
    parts.append(text(model + 14, below + 64, "cost and break-even; one HTML page per run.", 12))
    parts.append(arrow(centres[0], bottom + 3, centres[0], below - 4))
    parts.append(arrow(centres[1], bottom + 3, model + 40, below - 4))
    parts += [arrow(centres[number], bottom + 3, centres[number], below - 4) for number in (2, 3)]
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker>'
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            'font-family="system-ui, Helvetica, Arial, sans-serif">',
            f"<defs>{head}</defs>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{BACKGROUND}"/>',
            *parts,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    TARGET.write_text(picture(), encoding="utf-8")
