"""The document of how predictions fare over time, from what workers have measured."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ritz.compute.evaluation.measured import Measured
from ritz.compute.evaluation.rollouts.curves import DRIFT, SPECTRUM, rings_of
from ritz.compute.evaluation.rollouts.spectra import shown_steps, wavenumbers
from ritz.compute.evaluation.rollouts.valid_time import LYAPUNOV_TIMES
from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.problems.problem import Problem
from ritz.tasks.documents.evaluation import Curve, Rollout, Spectrum
from ritz.tasks.measuring.evaluation_worker import MODEL, TRUTH


def rollout(measured: Measured, dimensions: Dimensions, problem: Problem | None) -> Rollout | None:
    """Return the means over the samples of what `evaluation_worker.look` has summed; None where there are no times."""
    if f"{MODEL}|nrmse" not in measured.sums:
        return None
    samples = len(measured.rows["sample_id"])
    means = {name: values / samples for name, values in measured.sums.items()}

    def of_all(curve: str) -> dict[str, Curve]:
        return {who: _numbers(means[f"{who}|{curve}"]) for who, name in _split(means) if name == curve}

    drifts = [name.removeprefix(DRIFT) for who, name in _split(means) if who == MODEL and name.startswith(DRIFT)]
    outputs = [name.removeprefix(SPECTRUM) for who, name in _split(means) if who == MODEL and name.startswith(SPECTRUM)]
    times = np.array(dimensions.times)
    return Rollout(
        times=_numbers(times),
        nrmse=of_all("nrmse"),
        vrmse=of_all("vrmse"),
        correlation=of_all("correlation"),
        drift={name: {who: _numbers(means[f"{who}|{DRIFT}{name}"]) for who in (MODEL, TRUTH)} for name in drifts},
        spectrum_times=_numbers(times[shown_steps(len(times))]) if outputs else (),
        spectra={
            name: Spectrum(
                wavenumbers=_numbers(wavenumbers(dimensions, rings_of(problem))),
                truth=tuple(map(_numbers, means[f"{TRUTH}|{SPECTRUM}{name}"])),
                model=tuple(map(_numbers, means[f"{MODEL}|{SPECTRUM}{name}"])),
            )
            for name in outputs
        },
        exponents=_exponents(measured),
    )


def _exponents(measured: Measured) -> tuple[float, float] | None:
    """Return the smallest and the largest Lyapunov exponent of the samples; None where none were given or known."""
    time, in_exponents = (measured.rows.get(f"{MODEL}|valid_time|{part}") for part in ("", LYAPUNOV_TIMES))
    if time is None or in_exponents is None:
        return None
    exponents = in_exponents / time
    least, most = _numbers(np.array([exponents.min(), exponents.max()]))
    return least, most


def _split(names: dict[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """Yield whose curve each is, and which."""
    for name in names:
        who, _, curve = name.partition("|")
        yield who, curve


def _numbers(values: np.ndarray) -> Curve:
    """Return numbers to six digits."""
    return tuple(float(f"{value:.6g}") for value in values)
