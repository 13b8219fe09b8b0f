"""What reports are made of in the tests: a run and a comparison that measured everything."""

from __future__ import annotations

from typing import Any

import numpy as np

from ritz.tasks.comparison.comparison_record import ComparisonRecord, TrainedSeed
from ritz.tasks.documents.evaluation import Rollout, Spectrum, TruthError, TruthErrors, WorstSample
from ritz.tasks.report.arrivals import Stream
from ritz.tasks.report.covered import Covered
from ritz.tasks.report.material import Material
from tests.documents import comparison, seed


def make_material(space: tuple[int, ...], n: int = 2) -> Material:
    rng = np.random.default_rng(0)
    names = ("t", "y", "x")[-len(space) :]
    truth = rng.normal(size=(n, *space)).cumsum(axis=-1)
    error = rng.normal(size=(n, *space))
    step = np.arange(5.0, 205.0, 5.0)
    return Material(
        sample_id=np.array([3, 42])[:n],
        labels=("median error", "worst error")[:n],
        inputs={"a": np.exp(rng.normal(size=(n, *space))), "nu": np.linspace(0.1, 0.2, n)},
        truth={"u": truth},
        prediction={"u": truth + error},
        half_width={"u": np.full((n, *space), 1.5)},
        centre={"u": truth + 0.5 * error},
        coordinates={name: np.linspace(0, 1, points) for name, points in zip(names, space, strict=True)},
        attrs={
            "a": {"long_name": "permeability", "units": "m2", "transform": "log"},
            "u": {"long_name": "pressure", "units": "Pa"},
            "x": {"units": "m"},
        },
        curve={
            "step": step,
            "loss": 1 / step,
            "validate": np.where(step % 50 == 0, 1.1 / step, np.nan),
            "time": 1e9 + step,
            "received": np.minimum(step, 120),
        },
        arrivals=1e9 + np.arange(0.0, 120.0, 8.0),
        covered=Covered(
            0.9,
            {"u": rng.binomial(30, 0.9, space) / 30},
            np.clip(rng.normal(0.9, 0.05, 30), 0, 1),
            np.arange(3, 603, 20),
        ),
        relative_l2=np.exp(rng.normal(-4, 0.4, 30)),
        worst=(WorstSample(id=19, relative_l2=0.0633), WorstSample(id=598, relative_l2=0.06)),
        truth_errors=TruthErrors(
            dataset="darcy@v3",
            rtol=1e-8,
            rounding_bound=3.1e-5,
            labels=TruthError(known=True, mean=2.5e-8, max=2.6e-8, samples=8, points={"y": 32, "x": 32}, seconds=0.1),
            discretisation=TruthError(known=False, reason="fields on a mesh are not carried to another one"),
        ),
        rollout=make_rollout(),
        unfit={"boundary": "there are no walls: every axis closes to a ring"},
        ledger={
            "status": np.array(["ok"] * 30 + ["failed"] * 2),
            "reason": np.array([""] * 30 + ["not_converged"] * 2),
            "residual": np.append(np.geomspace(1e-10, 9e-9, 30), [np.nan, np.nan]),
            "iterations": np.append(np.arange(30), [500, 500]),
            "seconds": np.geomspace(1e-3, 1e-2, 32),
            "solver": np.array(["recycled"] * 28 + ["direct"] * 4),
        },
        stream=make_stream(),
    )


def make_rollout() -> Rollout:
    """Errors that grow over ten times, and spectra of two of them."""
    times = np.arange(1, 11) / 2
    growth = {"model": 1.0, "mean": 40.0, "linear": 6.0, "quadratic": 3.0, "persistence": 30.0}
    return Rollout(
        times=tuple(times),
        nrmse={who: tuple(0.01 * scale * times) for who, scale in growth.items()},
        vrmse={who: tuple(0.012 * scale * times) for who, scale in growth.items()},
        correlation={who: tuple(np.exp(-0.005 * scale * times)) for who, scale in growth.items()},
        drift={"mean": {"model": tuple(1e-3 * times), "truth": (0.0,) * 10}},
        spectrum_times=(0.5, 5.0),
        spectra={
            "u": Spectrum(
                wavenumbers=tuple(np.arange(9.0)),
                truth=(tuple(np.exp(-np.arange(9.0))),) * 2,
                model=(tuple(np.exp(-1.1 * np.arange(9.0))),) * 2,
            )
        },
    )


def make_stream() -> Stream:
    """Shards that arrive in the order of their scores: a quarter of them is 1.3 deviations off."""
    scores = np.sort(rng_normal(80))
    scores = (scores - scores.mean()) / scores.std()
    return Stream(scores, tuple(np.split(scores, 20)), np.tile(scores, 3), "the first feature", 400)


def rng_normal(n: int) -> np.ndarray:
    return np.random.default_rng(5).normal(size=n)


def make_record() -> dict[str, Any]:
    """The record of a run that measured everything."""
    error = {"mean": 0.020312, "median": 0.0181, "p95": 0.0377, "max": 0.0633}
    recycled = {"kind": "recycled", "restart": 50, "recycle": 20, "preconditioner": "ilu"}
    return {
        "run": "darcy-20260101-3f2a",
        "status": "finished",
        "identity": "0123456789abcdef0123",
        "command": ["ritz", "run", "darcy", "--set", "problem.shape=[32,32]"],
        "created": "2026-01-01T00:00:00+00:00",
        "recipe": {"name": "darcy", "problem": {"kind": "darcy", "shape": [32, 32]}},
        "dataset": {
            "name": "darcy",
            "version": "v3",
            "snapshot": "SNAP0SHOT",
            "samples": 1024,
            "splits": {"test": 153, "train": 616},
        },
        "model": {
            "name": "darcy", "version": "v7", "parameters": 2376449,
            "release": "released", "released": True, "missed": [],
        },
        "metrics": {"relative_l2": error, "h1": error, "max_error": error, "spectral": {"low": error, "high": error}},
        "baselines": {
            "mean": {"relative_l2": {**error, "mean": 0.4018}},
            "quadratic": {"relative_l2": {"mean": 0.1019}},
        },
        "coverage": {
            f"{level:g}": {
                "nominal": level,
                "measured": level + 0.004,
                "width": 0.01 * level,
                "constant_width": 0.0143,
                "constant_width_at_equal_coverage": 0.0153,
                "low": level - 0.006,
                "high": level + 0.014,
                "by_sample": {"least": level - 0.2, "tenth": level - 0.1, "median": level},
                "by_zone": [[level - 0.03 * ring, level - 0.03 * ring - 0.02, level] for ring in range(4)],
                "by_step": [[level + 0.01, level, level + 0.02]] * 12,
                "by_step_together": [[level - 0.01, level + 0.03]] * 11 + [[level + 0.001, level + 0.03]],
                "by_difficulty": [[level, level - 0.05, level + 0.05]] * 5,
            }
            for level in (0.5, 0.9)
        },
        "ledger": {
            "max_residual": 9.81e-9, "rtol": 1e-8, "solvers": {"recycled": 1000}, "solved": 900, "reused": 122,
            "failed": 2, "seconds": 19.4,
        },
        "choice": {
            "systems": 8,
            "unknowns": 4096,
            "rtol": 1e-8,
            "tried": [
                {"solver": recycled, "iterations": 21.5, "seconds": 0.0182, "missed": 0},
                {"solver": {"kind": "direct"}, "iterations": 1.0, "seconds": 0.0243, "missed": 0},
            ],
            "left_out": [{"solver": {"kind": "multigrid"}, "reason": "multigrid needs stencils on a grid"}],
            "chosen": recycled,
            "ratio": 1.34,
        },
        "tuning": {
            "policy": {"kind": "upper_bound", "context": False, "optimism": 0.5},
            "arms": [
                {"solver": recycled, "systems": 700, "work": 812.5, "everywhere": 812.5},
                {"solver": recycled | {"recycle": 0}, "systems": 324, "work": 904.0, "everywhere": 910.2},
                {"solver": recycled | {"recycle": 40}, "systems": 0, "work": None, "everywhere": None},
            ],
            "systems": 1024, "work": 841.4, "best": 0, "regret": 0.036,
        },
        "panel": [
            {"method": "recycled, carry", "order": "sorted", "iterations": 21.5, "seconds": 0.0182},
            {"method": "direct", "order": "sorted", "iterations": 1.0, "seconds": 0.0243, "max_residual": None},
        ],
        "population": [
            {
                "about": "darcy@v7", "law": {}, "seed": 0, "question": {"error": 5e-4}, "level": 0.95,
                "rungs": [
                    {"name": "truth", "seconds": 0.001, "samples": 64},
                    {
                        "name": "network", "seconds": 0.012, "samples": 0, "rho2": [[0.99, 0.98, 0.995]],
                        "bias": [0.001],
                    },
                ],
                "left_out": {"points/8": "shape is (4, 4)"}, "chosen": ["truth"], "quasi_random": 64,
                "answers": [
                    {
                        "quantity": "mean:u", "question": "mean", "value": 0.0362, "low": 0.0357, "high": 0.0367,
                        "samples": 64, "solved": 64, "plain_seconds": 2.6,
                    }
                ],
                "reached": True, "pilot_seconds": 0.9, "seconds": {"truth": 0.1}, "wall_seconds": 1.2,
            }
        ],
        "times": {
            "first_step": 14.2, "last_shard": 128.0, "steps": 200, "steps_while_solving": 152, "generate": 128.9,
            "train": 222.1, "total": 252.0, "warming_up": 3.5,
        },
        "memory": {"driver_peak": 263_000_000},
        "usage": {
            "node_hours": 0.25, "core_hours": 3.5, "cpu_hours": 2.8, "efficiency": 0.8, "workers": 14, "nodes": 2,
            "attempts": 3,
        },
        "cost": {
            "training_data": {"dataset": "darcy@v3", "samples": 1024, "failed": 2, "solver_seconds": 19.4},
            "training": {"training_seconds": 214.0, "steps": 200, "devices": ["cpu"]},
            "inference": {
                "seconds": 0.00271, "seconds_batched": 0.00083, "batch": 32, "device": "cpu", "threads": 1, "torch": "2"
            },
        },
        "break_even": {
            "measured": True, "queries": None, "queries_batched": 98765, "spent": 233.4, "sentence": "It never pays.",
            "error": 0.0291, "samples": 8, "complete": False, "tried": [{}, {}, {}],
            "fastest": {
                "space": 2, "time": 1, "rtol": 1e-3, "solver": {"kind": "multigrid"}, "error": 0.0171,
                "seconds": 0.00319,
            },
        },
        "equal_seconds": {
            "seconds": 0.00083, "samples": 8, "tried": [{}, {}], "complete": True,
            "best": {
                "space": 2, "time": 4, "rtol": 0.1, "solver": {"kind": "simulate"}, "error": 0.233, "seconds": 0.0007,
            },
            "quickest": None, "times": [0.5 * step for step in range(1, 11)], "valid_time": 3.21,
            "nrmse": [0.1 + 0.04 * step for step in range(10)],
            "correlation": [0.99 - 0.05 * step for step in range(10)],
        },
        "versions": {"ritz": "0.1.0", "torch": "2.13.0"},
        "machine": {"cores": 2, "system": "Linux"},
        "paths": {"report": "/data/store/runs/x/report.html", "store": "/data/store"},
    }  # fmt: skip


def make_comparison() -> ComparisonRecord:
    """The record of a comparison over three seeds."""
    rng, steps = np.random.default_rng(0), range(4, 100, 4)

    def trained(number: int, scale: float) -> TrainedSeed:
        errors = scale * (0.3 + np.exp(-np.array(steps) / 30)) * (1 + 0.05 * rng.normal(size=len(steps)))
        curve = [
            {"step": step, "received": min(40, 4 + step), "validate": float(error)}
            for step, error in zip(steps, errors, strict=True)
        ]
        return seed(scale * (1 + 0.1 * rng.normal()), str(number)).changed(seed=number, curve=curve)

    scales = {"offline": 0.1, "equal_steps": 0.08, "equal_solves": 0.095, "equal_time": 0.085}
    results = {arm: [trained(number, scale) for number in range(3)] for arm, scale in scales.items()}
    return comparison(
        results,
        recipe={"problem": {"kind": "darcy"}, "surrogate": {"kind": "fno"}},
        dataset={
            "name": "small", "version": "v1", "snapshot": "SNAP0SHOT", "samples": 100, "splits": {"test": 30},
        },
        samples=40, epochs=4.0, steps=96, published={"fno": 0.16, "fully_connected": 0.68},
        clock={
            "solver_seconds": 0.1, "solvers": 2, "simulation": 0.05, "step": 0.02, "seconds": 10.0, "begin": 1.0,
            "could_solve": 80,
        },
        command=("ritz", "compare", "online-offline"),
    )  # fmt: skip
