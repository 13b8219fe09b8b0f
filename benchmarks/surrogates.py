"""Every surrogate, trained for the same CPU time on the same Darcy samples, beside predictors without a network.

    python -m benchmarks.surrogates > benchmarks/surrogates.txt                 # about 2 hours on one core
    python -m benchmarks.surrogates --seconds 5 --seed 0 --surrogate fno

Results are kept line by line in a folder, and the same command goes on after the last one; what is there already is
not trained again. The samples are solved once and kept in the same folder.
"""

from __future__ import annotations

import argparse
import json
import logging
import shlex
import sys
import textwrap
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.darcy import Darcy
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.multigrid.multigrid import Multigrid
from ritz.compute.surrogates.families import FITTED, NETWORKS
from ritz.compute.surrogates.fitted.baselines import BASELINES
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.normalisation import Arrays, Normalisation
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.offline import Offline
from ritz.compute.training.parts.optimiser import AdamW
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Progress, Surroundings

log = logging.getLogger("benchmarks")

PROBLEM = Darcy(shape=(64, 64))
TRAIN, TEST = 1000, 200
SEEDS = (0, 1, 2)
WARM = 6
"""Steps by which the time of a step is measured, after two that are not counted."""

SURROGATES: dict[str, Surrogate] = {
    **{str(cls.model_fields["kind"].default): cls.model_validate({}) for cls in (*NETWORKS, *FITTED)},
    "fno, patched": FNO(levels=1),
}
RATE, COARSE = 5e-3, 0.75
"""Largest learning rate, and share of the steps at half the resolution: the trainer's own."""
RATES: dict[str, float] = {"unet": 2e-3, "deeponet": 1e-3, "fully_connected": 1e-3, "transolver": 3e-3}
"""Where another rate is taken: the published 1e-3, or a larger one by runs of 30 s with seed 0, in which a U-Net came
to 12.9 % with 1e-3, 9.9 % with 3e-3 and 27 % with 5e-3, a Transolver to 21.0 % with 1e-3 and 20.2 % with 3e-3."""


def samples(folder: Path) -> tuple[Arrays, Arrays]:
    """Return the samples to train and to test on, solved by a solver of the project unless the folder has them."""
    path = folder / f"darcy-64-{TRAIN + TEST}.npz"
    if not path.exists():
        log.info("solving %d samples", TRAIN + TEST)
        inputs = PROBLEM.draw(0, np.arange(TRAIN + TEST))
        outputs, ledger = simulate(PROBLEM, inputs, Multigrid(), rtol=1e-8)
        assert set(ledger["status"]) == {"ok"}
        partial = path.with_suffix(".part.npz")
        stored: dict[str, Any] = {name: values.astype(np.float32) for name, values in (inputs | outputs).items()}
        np.savez(partial, **stored)
        partial.rename(path)
    with np.load(path) as kept:
        fields = dict(kept)
    return {k: v[:TRAIN] for k, v in fields.items()}, {k: v[TRAIN:] for k, v in fields.items()}


def trained(
    surrogate: Surrogate, fields: Arrays, steps: int, seed: int, rate: float, coarse: float = COARSE
) -> tuple[Model, list[float]]:
    """Return the model and the CPU time of every step."""
    count = len(fields["u"])
    clock = {0: time.process_time()}

    def progress(state: Progress) -> None:
        clock.setdefault(state.step, time.process_time())

    nothing = Block(0, np.empty(0, np.int64), np.empty(0, str), {name: rows[:0] for name, rows in fields.items()})
    training = Offline(optimiser=AdamW(learning_rate=rate), coarse=coarse, seed=seed)
    fit = training.model_copy(update={"epochs": steps * training.batch_size / count}).fit(
        surrogate,
        Given(
            PROBLEM.template(1),
            lambda _: nothing,
            fixed=InMemory(np.arange(count), fields, (nothing.ids, nothing.fields), seed),
        ),
        Surroundings(progress=progress),
    )
    times = [clock[step] for step in sorted(clock)]
    return fit.model, list(np.diff(times))


def budget(surrogate: Surrogate, fields: Arrays, seconds: float, rate: float) -> int:
    """Return the number of steps that take so many seconds of CPU time, by a few steps at each resolution."""
    coarse = COARSE if surrogate.any_grid else 0.0
    few = {name: values[:64] for name, values in fields.items()}
    step = [float(np.median(trained(surrogate, few, WARM + 2, 0, rate, share)[1][2:])) for share in (0.0, 1.0)]
    return max(4, round(seconds / ((1 - coarse) * step[0] + coarse * step[1])))


def row(name: str, surrogate: Surrogate, seed: int, seconds: float, train: Arrays, test: Arrays) -> dict[str, Any]:
    """Train one surrogate with one seed and measure it."""
    rate = RATES.get(name, RATE)
    steps = budget(surrogate, train, seconds, rate)
    model, times = trained(surrogate, train, steps, seed, rate)
    start = time.process_time()
    predicted = model.predict(test)
    each = (time.process_time() - start) / TEST
    return {
        "parameters": sum(p.numel() * (2 if p.is_complex() else 1) for p in model.module.parameters()),
        "steps": steps,
        "seconds": float(sum(times)),
        "predict": each,
        "error": float(relative_l2(predicted["u"], test["u"]).mean()),
    }


def baseline(name: str, train: Arrays, test: Arrays) -> dict[str, Any]:
    """Fit one predictor without a network and measure it."""
    start = time.process_time()
    model = Model.fitted(BASELINES[name], Normalisation.fit(PROBLEM.template(1), train), [train])
    fitted = time.process_time()
    predicted = model.predict({"a": test["a"]})
    each = (time.process_time() - fitted) / TEST
    error = float(relative_l2(predicted["u"], test["u"]).mean())
    return {"seconds": fitted - start, "predict": each, "error": error}


class Rows:
    """What is measured so far, a line of JSON each; the line of a killed run that is not whole is left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, dict[str, Any]] = {}
        if path.exists():
            text = path.read_text()
            whole = text[: text.rfind("\n") + 1]
            if whole != text:
                path.write_text(whole)
            for line in whole.splitlines():
                entry = json.loads(line)
                self.found[_key(entry["what"])] = entry["row"]

    def get(self, what: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the row of what was measured already."""
        return self.found.get(_key(what))

    def add(self, what: Mapping[str, Any], row: dict[str, Any]) -> None:
        """Keep a row."""
        with self.path.open("a") as file:
            file.write(json.dumps({"what": what, "row": row}) + "\n")
        self.found[_key(what)] = row


def _key(what: Mapping[str, Any]) -> str:
    return json.dumps(what, sort_keys=True)


def lines(found: Mapping[str, list[dict[str, Any]]], trainable: Mapping[str, Surrogate]) -> list[list[str]]:
    """Return the cells of the table, the smallest error first."""
    cells = []
    for name, rows in sorted(found.items(), key=lambda item: np.mean([row["error"] for row in item[1]])):
        errors = 100 * np.array([row["error"] for row in rows])
        steps = [row["steps"] for row in rows if "steps" in row]
        cells.append(
            [
                name,
                f"{rows[0]['parameters']:,}" if "parameters" in rows[0] else "",
                str(len(rows)) if name in trainable else "",
                f"{errors.mean():.2f}",
                f"{errors.min():.2f} … {errors.max():.2f}" if len(rows) > 1 else "",
                f"{min(steps)} … {max(steps)}" if steps else "",
                f"{np.mean([row['seconds'] for row in rows]):.0f}",
                f"{1e3 * np.mean([row['predict'] for row in rows]):.2f}",
                f"{RATES.get(name, RATE):g}" if name in trainable else "",
                _sizes(trainable[name]) if name in trainable else "no network",
            ]
        )
    return cells


def _sizes(surrogate: Surrogate) -> str:
    """Return the fields of a surrogate in a few words."""
    values = surrogate.model_dump(mode="json")
    return ", ".join(f"{name} {value}" for name, value in values.items() if name not in ("kind", "coordinates"))


COLUMNS = ("", "parameters", "seeds", "error %", "range", "steps", "CPU s", "ms", "rate", "sizes")
EXPLANATION = """
Darcy −∇·(a∇u) = 1 on 64², log-normal a (the recipe darcy): {train} samples to learn from, {test} to test on, the same
for all, solved to 1e-8. Trained offline by the project's trainer, in epochs over samples in memory, with its settings
(batches of 8, AdamW, a rise and half a cosine to zero, symmetries of the square; the first 75 % of the steps at half
the resolution where the surrogate works on any grid). rate: largest learning rate; the trainer's own is 0.005, others
are as published or were tried for 30 s with seed 0. The number of steps is set before the training, so that it takes
{seconds:g} s of this process's CPU time by the time of {warm} steps at each resolution; CPU s is what it took then,
on one thread. error: mean relative L2 error on the test samples, mean and range over the seeds, which set weights,
batches and symmetries. parameters: real numbers, a complex one is two. ms: CPU time to predict a sample, in batches
of 32. sizes: the defaults of each kind. CPU s of those without a network: to fit them; they see no symmetries.
"""


def main() -> None:
    """Measure what is missing and print the table."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0, help="CPU time of a training")
    parser.add_argument("--seed", action="append", type=int, help="may be given often; 0, 1, 2 by default")
    parser.add_argument("--surrogate", action="append", choices=SURROGATES, help="may be given often; all by default")
    parser.add_argument("--folder", type=Path, default=Path("build/surrogates"), help="of samples and results")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    import torch

    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    train, test = samples(arguments.folder)
    kept = Rows(arguments.folder / "results.jsonl")
    chosen = {name: SURROGATES[name] for name in arguments.surrogate or SURROGATES}
    found: dict[str, list[dict[str, Any]]] = {}
    for name in BASELINES:
        what = {"baseline": name, "train": TRAIN, "test": TEST}
        if kept.get(what) is None:
            kept.add(what, baseline(name, train, test))
        found[name] = [kept.found[_key(what)]]
    # Seed by seed, so that a table of fewer seeds is whole.
    for seed in arguments.seed or SEEDS:
        for name, surrogate in chosen.items():
            what = {
                "surrogate": surrogate.model_dump(mode="json"),
                "rate": RATES.get(name, RATE),
                "seed": seed,
                "seconds": arguments.seconds,
                "train": TRAIN,
                "test": TEST,
            }
            if kept.get(what) is None:
                log.info("%s, seed %d", name, seed)
                kept.add(what, row(name, surrogate, seed, arguments.seconds, train, test))
                log.info("  %s", kept.get(what))
            found.setdefault(name, []).append(kept.found[_key(what)])
    print(*provenance(shlex.join(["python", "-m", "benchmarks.surrogates", *sys.argv[1:]])), sep="\n")
    print("; ".join(f"{name} {version(name)}" for name in ("torch", "neuraloperator", "scikit-learn")) + ".")
    explained = EXPLANATION.format(train=TRAIN, test=TEST, seconds=arguments.seconds, warm=WARM).strip()
    print("", *textwrap.wrap(explained, 118), "", sep="\n")
    print(*align(COLUMNS, lines(found, chosen), left=(0, 9)), sep="\n")


if __name__ == "__main__":
    main()
