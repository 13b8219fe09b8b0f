from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.evaluation.catalogue import METRICS
from ritz.compute.uncertainty.catalogue import about
from ritz.storage.ledger import SPLITS
from ritz.tasks.documents.evaluation import Metrics
from ritz.tasks.documents.verdict import Verdict
from ritz.tasks.measuring.gate import better_baselines
from ritz.tasks.report import figures
from ritz.tasks.report.material import Material, columns, typical
from ritz.tasks.report.shown import explanation
from ritz.tasks.report.theme import DARK, LIGHT
from ritz.tasks.report.wording import duration, key_numbers, number, percent, share, timing

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["Material", "columns", "pictures", "render", "template", "typical"]

TIMES = {
    "total": "whole run",
    "generate": "generating, until the dataset was published",
    "train": "training, from its start to its last step",
    "first_step": "until the first training step",
    "last_shard": "until the last shard was committed",
    "evaluate": "evaluating and calibrating the bands",
}
"""What the known times of a record mean, in the order of the report."""

COUNTS = ("steps", "steps_while_solving")
"""Entries of ``times`` that are not seconds."""


def pictures(record: Mapping[str, Any], material: Material) -> dict[str, bytes]:
    """Draw the figures of a run on a white background, PNG by name in the order of the report.

    Parameters
    ----------
    record
        The run record.
    material
        What is drawn and not in the record.

    Returns
    -------
    dict of bytes
        ``samples`` (and ``samples_2`` … for further outputs), ``training``, ``stream``, ``errors``,
        ``calibration``, ``panel``, ``ledger``; without those that the run did not measure.
    """
    return figures.draw(record, material, LIGHT)


def render(
    record: Mapping[str, Any],
    material: Material,
    light: Mapping[str, bytes] | None = None,
    dark: Mapping[str, bytes] | None = None,
) -> bytes:
    """Return the report of a run: one HTML page with everything in it, UTF-8.

    It loads nothing from outside and runs no script. Parts of the record that are absent are named as such.

    Parameters
    ----------
    record
        The run record.
    material
        What is drawn and not in the record.
    light
        The `pictures` of the same run, where they have been drawn already; those left out are not shown.
    dark
        The same on a dark background, where they have been drawn.
    """
    bright = dict(light) if light is not None else pictures(record, material)
    if dark is None:
        dark = figures.draw(record, material, DARK) if bright else {}
    view = _view(record, material, {name: (uri(bright[name]), uri(dark[name])) for name in bright})
    return template("page.html.jinja").render(view).encode()


def template(name: str) -> Template:
    """Return a template of this folder, with the words of the report as filters; every name it uses must be given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": number, "percent": percent, "duration": duration}
    return environment.get_template(name)


def _view(record: Mapping[str, Any], material: Material, drawn: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Return what the template shows; every name is there, empty where it was not measured."""
    parts = (
        "dataset",
        "model",
        "metrics",
        "baselines",
        "coverage",
        "ledger",
        "choice",
        "times",
        "memory",
        "versions",
        "cost",
        "break_even",
    )
    found = {part: record.get(part) or {} for part in parts}
    rows = sorted(found["coverage"].values(), key=lambda row: row["nominal"])
    command, splits = record.get("command"), found["dataset"].get("splits") or {}
    return {
        **found,
        "splits": {name: splits[name] for name in sorted(splits, key=_split_order)},
        "run": record.get("run") or "a run",
        "status": record.get("status"),
        "identity": record.get("identity"),
        "created": record.get("created"),
        "pictures": drawn,
        "samples": {
            name: explanation(material, output) for name, output in figures.outputs(material).items() if name in drawn
        },
        "keys": key_numbers(record),
        "errors": _errors(found["metrics"]),
        "baseline_rows": _baselines(found),
        "coverage_rows": rows,
        "coverage_about": about((record.get("recipe") or {}).get("uncertainty") or {}),
        "constant_bands": any("constant_width" in row for row in rows),
        "panel_rows": [{**row, "name": figures.panel_name(row)} for row in record.get("panel") or ()],
        "tried": [{**row, "solver": _solver(row.get("solver"))} for row in found["choice"].get("tried") or ()],
        "left_out": [{**row, "solver": _solver(row.get("solver"))} for row in found["choice"].get("left_out") or ()],
        "verdict": _verdict(found["choice"]),
        "solve_time": timing(found["break_even"]["fastest"]) if found["break_even"].get("measured") else "",
        "release": Verdict.model_validate(found["model"]).release_by(record.get("recipe") or {})
        if "released" in found["model"]
        else None,
        "better": _better(found["metrics"], found["baselines"]) if found["metrics"] else {},
        "machine": record.get("machine") or {},
        "by_solver": _by_solver(material),
        "failures": _failures(material),
        "overlap": share(found["times"].get("steps_while_solving"), found["times"].get("steps")),
        "durations": _durations(found),
        "stream": _stream(material),
        "cost_rows": _costs(found["cost"]),
        "recipe": _yaml(record["recipe"]) if record.get("recipe") else "",
        "command": command if isinstance(command, str) or command is None else shlex.join(command),
        "reading": _reading(record),
        "level": material.level,
        "width_unit": _unit(material),
    }


def _split_order(name: str) -> int:
    return SPLITS.index(name) if name in SPLITS else len(SPLITS)


def uri(png: bytes) -> str:
    """Return a picture as a URL that holds all of it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _unit(material: Material) -> str:
    units = {material.unit(name) for name in material.truth}
    return units.pop() if len(units) == 1 else ""


def _errors(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    titles = {kind: getattr(cls, "title", "") or kind for kind, cls in METRICS.kinds().items()}
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for name, found in metrics.items():
        title = titles.get(name, name)
        if not found:
            continue
        if "mean" in found:
            rows.append((title, found))
        elif name == "spectral":
            rows += [(f"relative L2, {band} wavenumbers", row) for band, row in found.items()]
        else:
            rows += [(f"{title}, {part}", row) for part, row in found.items()]
    return rows


def _baselines(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], float | None]]:
    """Return name, summary and mean error relative to the model's, the model first."""
    named = {
        "mean": "training mean", "linear": "linear PCA ridge", "quadratic": "quadratic PCA ridge",
    }  # fmt: skip
    own = found["metrics"].get("relative_l2")
    rows: list[tuple[str, Mapping[str, Any], float | None]] = [("this model", own, 1.0)] if own else []
    for name, row in found["baselines"].items():
        error = row.get("relative_l2") or {}
        rows.append((named.get(name, name), error, share(error.get("mean"), own and own.get("mean"))))
    return rows


def _solver(solver: Any) -> str:
    if not isinstance(solver, Mapping):
        return str(solver)
    rest = ", ".join(f"{name} {value}" for name, value in solver.items() if name != "kind")
    return f"{solver.get('kind')}" + (f" ({rest})" if rest else "")


def _verdict(choice: Mapping[str, Any]) -> str:
    if not choice.get("chosen"):
        return ""
    systems, unknowns, ratio = (choice.get(name) for name in ("systems", "unknowns", "ratio"))
    on = f" on {number(systems)} systems" if systems else ""
    of = f" of {number(unknowns)} unknowns" if systems and unknowns else ""
    next_best = f", {number(ratio)} times as fast as the next" if ratio else ""
    return f"Auto tried the candidates below{on}{of} and chose {_solver(choice['chosen'])}{next_best}."


def _better(metrics: Mapping[str, Any], baselines: Mapping[str, Any]) -> dict[str, float]:
    return better_baselines(
        Metrics.model_validate(metrics), {name: Metrics.model_validate(one) for name, one in baselines.items()}
    )


def _by_solver(material: Material) -> list[dict[str, Any]]:
    ledger = material.ledger
    if not len(ledger.get("solver", ())):
        return []
    solvers, rows = np.asarray(ledger["solver"]).astype(str), []
    for solver in sorted(set(solvers)):
        of = {name: _present(ledger[name][solvers == solver]) for name in ("iterations", "seconds", "residual")}
        if not of["residual"].size:
            continue
        rows.append(
            {
                "solver": solver,
                "samples": int((solvers == solver).sum()),
                "iterations": float(of["iterations"].mean()) if of["iterations"].size else None,
                "median": float(np.median(of["seconds"])) if of["seconds"].size else None,
                "seconds": float(of["seconds"].sum()),
                "residual": float(of["residual"].max()),
            }
        )
    return rows


def _present(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, float)
    return values[np.isfinite(values)]


def _failures(material: Material) -> list[tuple[str, int]]:
    if "status" not in material.ledger or "reason" not in material.ledger:
        return []
    reasons = np.asarray(material.ledger["reason"]).astype(str)[np.asarray(material.ledger["status"]) == "failed"]
    return [(str(reason), int(count)) for reason, count in zip(*np.unique(reasons, return_counts=True), strict=True)]


def _durations(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    times = found["times"]
    names = [*(name for name in TIMES if name in times), *(name for name in times if name not in TIMES)]
    rows = [(TIMES.get(name, name.replace("_", " ")), duration(times[name])) for name in names if name not in COUNTS]
    if found["ledger"].get("seconds") is not None:
        rows.append(("in the solvers, sum over all samples", duration(found["ledger"]["seconds"])))
    return rows


def _stream(material: Material) -> dict[str, Any]:
    """Return what is said of the samples that the trainer saw; empty where it is not known."""
    stream = material.stream
    if stream is None:
        return {}
    return {"what": stream.what, "looked_at": len(stream.whole), "of": stream.of, "rows": stream.table()} | (
        stream.numbers()
    )


def _costs(cost: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not cost:
        return []
    data, training, inference = cost["training_data"], cost["training"], cost["inference"]
    where = f"{inference['device']}, {number(inference['threads'])} thread{'s' if inference['threads'] > 1 else ''}"
    return [
        (
            f"solving {number(data['samples'])} samples, solver time in all, one thread each",
            duration(data["solver_seconds"]),
        ),
        (f"training, {number(training['steps'])} steps without waiting", duration(training["training_seconds"])),
        (f"a prediction, one at a time ({where})", timing(inference, "seconds", "spread")),
        (
            f"a prediction, in batches of {inference['batch']} ({where})",
            timing(inference, "seconds_batched", "spread_batched"),
        ),
    ]


def _yaml(recipe: Any) -> str:
    import yaml

    return str(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100))


def _reading(record: Mapping[str, Any]) -> str:
    """Return a few lines of Python that read the dataset without Ritz; empty where it is not known."""
    dataset, store = record.get("dataset") or {}, (record.get("paths") or {}).get("store")
    if not dataset.get("name") or not dataset.get("version") or not store:
        return ""
    folder, version = f"{store}/datasets/{dataset['name']}", str(dataset["version"])
    state = f"tag={version!r}" if version.startswith("v") else f"snapshot_id={version!r}"
    return (
        "import icechunk, xarray\n"
        'icechunk.set_logs_filter("error")\n'
        f"repository = icechunk.Repository.open(icechunk.local_filesystem_storage({folder!r}))\n"
        f"data = xarray.open_zarr(repository.readonly_session({state}).store, consolidated=False, chunks=None)\n"
    )
