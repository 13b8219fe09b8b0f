"""A Fourier neural operator on Burgers' equation at 1024 points, and the same network on other grids.

    python -m benchmarks.burgers > benchmarks/burgers.txt                       # about 10 minutes on one core

The samples are solved once and kept in a folder; a training that was ended goes on from its checkpoint there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shlex
import sys
import textwrap
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.gaussian import Gaussian
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.surrogates.normalisation import Arrays
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.training.offline import Offline
from ritz.compute.training.parts.optimiser import AdamW
from ritz.compute.training.samples.augmentation import averages
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Progress, Surroundings
from ritz.compute.training.trained import Trained

log = logging.getLogger("benchmarks")

FINEST, POINTS, GRIDS = 2048, 1024, (256, 512, 1024, 2048)
TAU, ALPHA, SIGMA = 7.0, 2.5, 49.0
"""The law of the reference code's samples: u0 = Σ σ √2 (4π²k² + τ²)^(−α/2) (ξ cos 2πkx + η sin 2πkx) over k ≥ 1."""
AMPLITUDE = float(np.sqrt(np.sum(2 * SIGMA**2 * ((2 * np.pi * np.arange(1, 1025)) ** 2 + TAU**2) ** -ALPHA)))
PROBLEM = Burgers(
    points=FINEST, viscosity=0.1, steps=64, end=1.0, law=Gaussian(tau=TAU, alpha=ALPHA), amplitude=AMPLITUDE
)
TRAIN, TEST = 1000, 200
BLOCK = 50
SURROGATE = FNO(modes=16, width=32, layers=4, coordinates=False)
PUBLISHED, SPREAD = 0.0025, 0.1


def solved(folder: Path) -> Arrays:
    """Return first states and states at the end, ``(n, 2048)`` and ``(n, 1, 2048)`` float32, solved once."""
    path = folder / f"samples-{_digest(PROBLEM.model_dump(mode='json'))}.npz"
    if not path.exists():
        parts: list[Arrays] = []
        for first in range(0, TRAIN + TEST, BLOCK):
            inputs = PROBLEM.draw(0, np.arange(first, first + BLOCK))
            outputs, ledger = simulate(PROBLEM, inputs, Direct(), rtol=1e-8)
            assert set(ledger["status"]) == {"ok"}
            parts.append({"u0": inputs["u0"], "u": outputs["u"][:, -1:].astype(np.float32)})
            log.info("solved %d of %d", first + BLOCK, TRAIN + TEST)
        kept: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in ("u0", "u")}
        partial = path.with_suffix(".part.npz")
        np.savez(partial, **kept)
        partial.rename(path)
    with np.load(path) as found:
        return dict(found)


def on(points: int, fields: Arrays) -> Arrays:
    """Return the fields on a coarser grid: means over its cells, which the cells of the finest make up."""
    while fields["u0"].shape[-1] > points:
        fields = {name: averages(u.reshape(len(u), 1, -1)).reshape(*u.shape[:-1], -1) for name, u in fields.items()}
    return fields


def trained(folder: Path, fields: Arrays, epochs: float, rate: float, seed: int) -> Trained:
    """Train on the first samples at `POINTS` points, going on from a checkpoint of the same settings."""
    template = PROBLEM.model_copy(update={"points": POINTS}).template(1).isel(time=[-1])
    validation = Block(0, np.empty(0, np.int64), np.empty(0, str), {name: u[:0] for name, u in fields.items()})
    training = Offline(epochs=epochs, batch_size=20, optimiser=AdamW(learning_rate=rate), seed=seed, validation=0)
    about = [one.model_dump(mode="json") for one in (PROBLEM, training, SURROGATE)]
    path = folder / f"{_digest(about)}.safetensors"

    def save(blob: bytes) -> None:
        path.with_suffix(".part").write_bytes(blob)
        path.with_suffix(".part").rename(path)

    def progress(state: Progress) -> None:
        if state.step % 250 == 0:
            log.info("step %d of %d, loss %s", state.step, state.steps, state.loss)

    return training.fit(
        SURROGATE,
        Given(
            template,
            lambda _: validation,
            fixed=InMemory(np.arange(TRAIN), fields, (validation.ids, validation.fields), seed),
        ),
        Surroundings(load=lambda: path.read_bytes() if path.exists() else None, save=save, progress=progress),
    )


def _digest(about: Any) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


EXPLANATION = """
∂u/∂t + ∂(u²/2)/∂x = ν ∂²u/∂x² on a ring, ν = 0.1, u0 drawn by the law of the reference code's generator (covariance 2
· 49² (−Δ + 49)^−2.5, no constant part), u0 to u at t = 1. {train} samples to learn from and {test} to test on, solved
once at {finest} points in 64 steps to 1e-8; on a coarser grid they are their means over its cells. One network,
trained offline at {points} points ({epochs:g} epochs in batches of 20, AdamW, {rate:g}, a rise and half a cosine to
zero, the first 75 % of the steps at half the resolution), is evaluated on all grids. error: mean relative L2 error on
the test samples, mean over {seeds} seeds. Goal: at most {published} at {points} points, the value of the reference
code, and on the others within {spread:.0%} of that.
"""


def main() -> None:
    """Train, evaluate and print the table."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=3e-3, help="largest learning rate")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("build/burgers"), help="of samples and checkpoints")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    import torch

    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    everything = solved(arguments.folder)
    train = on(POINTS, {name: u[:TRAIN] for name, u in everything.items()})
    errors: dict[int, list[float]] = {points: [] for points in GRIDS}
    seconds = []
    for seed in range(arguments.seeds):
        before = time.process_time()
        fit = trained(arguments.folder, train, arguments.epochs, arguments.rate, seed)
        seconds.append(time.process_time() - before)
        for points in GRIDS:
            test = on(points, {name: u[TRAIN:] for name, u in everything.items()})
            predicted = fit.model.predict({"u0": test["u0"]})
            errors[points].append(float(relative_l2(predicted["u"], test["u"]).mean()))
    reference = float(np.mean(errors[POINTS]))
    rows = []
    for points in GRIDS:
        error = float(np.mean(errors[points]))
        met = error <= PUBLISHED if points == POINTS else abs(error / reference - 1) <= SPREAD
        rows.append([str(points), f"{error:.5f}", f"{error / reference:.3f}", "met" if met else "NOT MET"])
    print(*provenance(shlex.join(["python", "-m", "benchmarks.burgers", *sys.argv[1:]])), sep="\n")
    print("; ".join(f"{name} {version(name)}" for name in ("torch", "neuraloperator")) + ".")
    explained = EXPLANATION.format(
        train=TRAIN,
        test=TEST,
        finest=FINEST,
        points=POINTS,
        epochs=arguments.epochs,
        rate=arguments.rate,
        seeds=arguments.seeds,
        published=PUBLISHED,
        spread=SPREAD,
    )
    print("", *textwrap.wrap(explained.strip(), 118), "", sep="\n")
    print(f"{SURROGATE.kind}, modes {SURROGATE.modes}, width {SURROGATE.width}, layers {SURROGATE.layers}; ", end="")
    print(f"{np.mean(seconds):.0f} s of CPU time in this process.\n")
    print(*align(["points", "error", f"of that at {POINTS}", "goal"], rows, left=(3,)), sep="\n")


if __name__ == "__main__":
    main()
