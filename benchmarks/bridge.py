"""What a call of a model costs through `ritz bridge`, beside the same call in one process.

python -m benchmarks.bridge > benchmarks/bridge.txt                    # about 2 minutes, and the run of a recipe once
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import umbridge
from pydantic import TypeAdapter

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.solvers.catalogue import AnySolver
from ritz.tasks.bridging.bridge import Bridge, bridged, subject
from ritz.tasks.bridging.forward import Forward

RITZ = str(Path(sys.executable).with_name("ritz"))

QUANTITY = "integral:u:0.4,0.4:0.6,0.6"

CALLS, WARM = 100, 5

CASES = (
    ("cookies 40², Q", "cookies@v1", (QUANTITY,), None),
    ("cookies 40², fields", "cookies@v1", (), None),
    ("Darcy 64², mean of u, 64 coordinates", "darcy", ("mean:u",), "coordinates"),
    ("Darcy 64², fields from fields", "darcy", (), "inputs"),
)
"""Title, what is served, quantities, parameters."""

EXPLANATION = f"""
Milliseconds of wall time per call, the median of {CALLS} with the 5th and the 95th percentile, client and server on one
machine. direct: the same object is called in the process of the benchmark. HTTP: by the client of the package umbridge,
which opens a connection per call and writes numbers as text. shared memory: the same client with use_shmem. The three
take turns, call by call, with other numbers at every call. overhead: HTTP over direct. differs: the largest difference
of a number from the direct call, relative.
"""


@contextmanager
def served(*arguments: str) -> Iterator[Bridge]:
    """Start a server and return what it says of itself."""
    command = [RITZ, "bridge", *arguments, "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        yield Bridge.model_validate(json.loads("".join(lines)))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def models(found: Bridge, quantities: Sequence[str], asked: Any, store: str) -> list[Forward]:
    """Return the models in this process, with the solver of the server."""
    given = subject(found.source, {}, store)
    if found.solver is not None:
        given = replace(given, solver=TypeAdapter(AnySolver).validate_python(found.solver))
    return bridged(given, quantities, asked, None)[0]


def numbers(model: Forward, call: int) -> list[list[float]]:
    """Return what is sent at a call: coordinates, or inputs that are drawn by them."""
    problem = model.rung.problem
    drawn = np.random.default_rng(call).uniform(0.01, 0.99, problem.leading)
    if model.input_names() == ("coordinates",):
        return [drawn.tolist()]
    inputs = problem.draw_at(0, np.array([call]), drawn[None])
    return [values[0].reshape(-1).tolist() for values in inputs.values()]


def row(title: str, model: Forward, url: str) -> list[str]:
    """Measure one model."""
    with contextlib.redirect_stdout(io.StringIO()):
        remote = [umbridge.HTTPModel(url, model.name, use_shmem=shared) for shared in (False, True)]
    calls: list[Callable[[list[list[float]]], list[list[float]]]] = [lambda sent: model(sent, {}), *remote]
    seconds: list[list[float]] = [[] for _ in calls]
    differs = 0.0
    for call in range(WARM + CALLS):
        sent, answers = numbers(model, call), []
        for way, taken in zip(calls, seconds, strict=True):
            begun = time.perf_counter()
            answers.append(np.concatenate(way(sent)))
            taken.append(time.perf_counter() - begun)
        differs = max(differs, *(float((np.abs(one - answers[0]) / np.abs(answers[0])).max()) for one in answers[1:]))
    times = [np.percentile(1e3 * np.array(taken[WARM:]), [50, 5, 95]) for taken in seconds]
    return [
        title,
        model.name,
        *(f"{middle:.1f} [{low:.1f}, {high:.1f}]" for middle, low, high in times),
        f"{times[1][0] - times[0][0]:.1f}",
        f"{differs:.0e}",
    ]


def main() -> None:
    """Print the table."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="bridge-store", help="Where the run of the recipe lies, or will lie.")
    store = parser.parse_args().store
    subprocess.run([RITZ, "run", "cookies", "--store", store, "--json"], stdout=subprocess.DEVNULL, check=True)
    rows = []
    for title, source, quantities, asked in CASES:
        options = [word for one in quantities for word in ("--quantity", one)]
        options += ["--parameters", asked] if asked else []
        with served(source, "--store", store, *options) as found:
            rows += [row(title, model, found.url) for model in models(found, quantities, asked, store)]
    print(*provenance(f"python -m {shlex.join(['benchmarks.bridge', *sys.argv[1:]])}"), sep="\n")
    packages = ", ".join(f"{name} {version(name)}" for name in ("umbridge", "aiohttp", "requests"))
    print(f"Packages: {packages}.", "", *textwrap.wrap(EXPLANATION.strip(), 118), "", sep="\n")
    columns = ("what is asked", "model", "direct", "HTTP", "shared memory", "overhead", "differs")
    print(*align(columns, rows, left=(0, 1)), sep="\n")


if __name__ == "__main__":
    main()
