"""Latent equations with regularised steps: evaluations and errors beside those without, Burgers and van der Pol.

python -m benchmarks.latent_ode > benchmarks/latent_ode.txt      # about 5 minutes on one core
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import torch
import xarray as xr

from benchmarks.table import align, provenance
from benchmarks.threads import one_thread
from ritz.compute.fields.dimensions import INITIAL_STATE
from ritz.compute.fields.errors import relative_l2
from ritz.compute.problems.evolutions.burgers import Burgers
from ritz.compute.problems.problem import Arrays
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.networks.latent_ode import LatentTrajectory
from ritz.compute.surrogates.rollout.latent_ode import LatentODE
from ritz.compute.training.offline import Offline
from ritz.compute.training.samples.block import Block
from ritz.compute.training.samples.epochs import InMemory
from ritz.compute.training.samples.supply import Given
from ritz.compute.training.surroundings import Surroundings

Row = dict[str, float]

COLUMNS = ("evaluations", "tight", "error")

log = logging.getLogger("benchmarks")

TRAIN, TEST, MODES = 256, 128, 8
BURGERS = Burgers(points=64, steps=32)
DAMPING, END, STORED = 2.0, 6.0, 30
SEEDS, EPOCHS, BATCH = (0, 1, 2), 40, 32
TIGHT = 1e-5
"""Relative error of a step at which evaluations are counted too."""
EVALUATIONS, ERROR = 0.8, 1.05
"""What is asked for, over those without a regulariser."""

PLAIN = LatentODE(latent=8, width=64, layers=2, coder_layers=0, rtol=1e-3)
WEAK, STRONG = 0.005, 0.05
NETWORKS = {("none", ""): PLAIN} | {
    (where, f"{strength:g}"): PLAIN.model_copy(update={"regularise": where, "strength": strength})
    for where in ("local", "global")
    for strength in (WEAK, STRONG)
}

EXPLANATION = f"""
From a first state to all times, {TRAIN} trajectories to train on and {TEST} to test; {EPOCHS} epochs of batches of
{BATCH}, relative L2 as loss. Burgers: the coefficients of the {MODES} leading POD modes of the training trajectories of
Burgers' equation (ν = {BURGERS.viscosity:g}, {BURGERS.points} cells), {BURGERS.steps} times. van der Pol:
x″ = μ (1 − x²) x′ − x with μ = {DAMPING:g}, first x and x′ uniform in (−2, 2), {STORED} times up to {END:g}.
A latent equation with {PLAIN.latent} numbers, 2 hidden layers of {PLAIN.width}, linear encoder and decoder,
rtol {PLAIN.rtol:g}; the estimated error of the steps in the loss, with the strength that is given. evaluations: of
the equation for each test trajectory, mean; tight: the same networks with rtol {TIGHT:g}. error: relative L2 on the
test trajectories, percent. ×: over those of the same seed without a regulariser. Means over {len(SEEDS)} seeds, least
and most in brackets. goal: evaluations ≤ {EVALUATIONS:g}× at an error ≤ {ERROR:g}×, by the means.
"""


def template(times: np.ndarray, parts: int) -> xr.Dataset:
    """Describe trajectories of so many numbers, which lie at one point."""
    nothing = np.full((1, len(times), parts, 1), np.nan, np.float32)
    return xr.Dataset(
        {
            "c0": (("sample", "part", "x"), nothing[:, 0], {"role": "input"}),
            "c": (("sample", "time", "part", "x"), nothing, {"role": "output", INITIAL_STATE: "c0"}),
        },
        coords={"time": times},
        attrs={"symmetries": "none"},
    )


def trajectories(states: np.ndarray) -> Arrays:
    """Return first states and those after from ``(n, 1 + time, parts)``."""
    wide = states[..., None].astype(np.float32)
    return {"c0": wide[:, 0], "c": wide[:, 1:]}


def burgers() -> tuple[xr.Dataset, Arrays]:
    """Return coefficients of the leading modes of the training trajectories."""
    inputs = BURGERS.draw(0, np.arange(TRAIN + TEST))
    outputs, ledger = simulate(BURGERS, inputs, Direct(), rtol=1e-8)
    assert set(ledger["status"]) == {"ok"}
    states = np.concatenate([inputs["u0"][:, None], outputs["u"]], axis=1).astype(np.float64)
    _, sizes, modes = np.linalg.svd(states[:TRAIN].reshape(-1, BURGERS.points), full_matrices=False)
    log.info("%d modes hold %.4f of the variance", MODES, (sizes[:MODES] ** 2).sum() / (sizes**2).sum())
    return template(np.asarray(BURGERS.times), MODES), trajectories(states @ modes[:MODES].T)


def van_der_pol() -> tuple[xr.Dataset, Arrays]:
    """Return positions and velocities of oscillators."""
    from scipy.integrate import solve_ivp

    def slope(_: float, state: np.ndarray) -> np.ndarray:
        x, v = state.reshape(2, -1)
        return np.concatenate([v, DAMPING * (1 - x**2) * v - x])

    times = np.linspace(0, END, STORED + 1)
    first = np.random.default_rng(0).uniform(-2, 2, (2, TRAIN + TEST))
    found = solve_ivp(slope, (0, END), first.ravel(), method="DOP853", t_eval=times, rtol=1e-9, atol=1e-9)
    assert found.success
    return template(times[1:], 2), trajectories(found.y.reshape(2, TRAIN + TEST, -1).transpose(1, 2, 0))


def trained(surrogate: LatentODE, about: xr.Dataset, fields: Arrays, seed: int) -> Model:
    """Return a model that was trained on the first samples."""
    training = Offline(epochs=EPOCHS, batch_size=BATCH, coarse=0.0, augment=False, seed=seed)
    nothing = Block(0, np.empty(0, np.int64), np.empty(0, str), {name: rows[:0] for name, rows in fields.items()})
    ids = np.arange(TRAIN)
    given = {name: rows[:TRAIN] for name, rows in fields.items()}
    supply = Given(about, lambda _: nothing, fixed=InMemory(ids, given, (ids[:0], nothing.fields), seed))
    return training.fit(surrogate, supply, Surroundings()).model


def measured(model: Model, fields: Arrays) -> Row:
    """Return what a trained network costs and errs on the test trajectories."""
    inside = model.module
    assert isinstance(inside, LatentTrajectory)
    inputs, truth = {"c0": fields["c0"][TRAIN:]}, fields["c"][TRAIN:]
    error = 100 * float(relative_l2(model.predict(inputs)["c"], truth).mean())
    counts = {}
    for name, inside.rtol in (("tight", TIGHT), ("evaluations", PLAIN.rtol)):
        with torch.no_grad():
            counts[name] = torch.cat([inside.evaluations(x) for x in model.encoded(inputs)])
    return {"error": error, **{name: float(count.double().mean()) for name, count in counts.items()}}


def compared(problem: str, about: xr.Dataset, fields: Arrays) -> list[list[str]]:
    """Train with all regularisers and return the lines of the table."""
    found: dict[tuple[str, str], list[Row]] = {}
    for seed in SEEDS:
        for name, surrogate in NETWORKS.items():
            found.setdefault(name, []).append(measured(trained(surrogate, about, fields, seed), fields))
            log.info("%s, seed %d, %s: %s", problem, seed, " ".join(name), found[name][-1])
    lines = []
    for name, rows in found.items():
        line, means = [problem, *name], {}
        for column in COLUMNS:
            ratios = [row[column] / plain[column] for row, plain in zip(rows, found["none", ""], strict=True)]
            means[column] = np.mean(ratios)
            line += [_spread([row[column] for row in rows]), "" if name[0] == "none" else _spread(ratios)]
        met = means["evaluations"] <= EVALUATIONS and means["error"] <= ERROR
        lines.append([*line, "" if name[0] == "none" else "met" if met else "not met"])
    return lines


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3g} [{min(values):.3g}, {max(values):.3g}]"


def main() -> None:
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    lines = [*compared("Burgers", *burgers()), *compared("van der Pol", *van_der_pol())]
    heads = ["problem", "regularise", "strength", "evaluations", "×", "tight", "×", "error %", "×", "goal"]
    print(*provenance(shlex.join(["python", "-m", "benchmarks.latent_ode", *sys.argv[1:]])), sep="\n")
    print(f"torch {version('torch')}.")
    print("", *textwrap.wrap(EXPLANATION.strip(), 118), "", *align(heads, lines, left=(0, 1, 9)), sep="\n")


if __name__ == "__main__":
    main()
