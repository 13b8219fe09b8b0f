from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.buffers.reservoir import Reservoir
from ritz.compute.training.loop import Loop
from ritz.compute.training.online import Online
from ritz.compute.training.samples.block import Block
from ritz.compute.training.surroundings import Surroundings

STEPS = 4


def _loop(surrogate: Surrogate, points: int = 8, **options: Any) -> tuple[Loop, dict[str, np.ndarray]]:
    """A loop on a line over time, with one batch for it."""
    rng = np.random.default_rng(0)
    fields = {
        "nu": rng.standard_normal(4).astype(np.float32),
        "u": rng.standard_normal((4, 3, points)).astype(np.float32) * np.array([[100.0], [1.0], [1.0]], np.float32),
        "v": rng.standard_normal((4, points)).astype(np.float32),
    }
    dims = {"nu": ("sample",), "u": ("sample", "time", "x"), "v": ("sample", "x")}
    about = {name: {"role": "input" if name == "nu" else "output"} for name in fields}
    template = xr.Dataset({name: (dims[name], values, about[name]) for name, values in fields.items()})
    torch.manual_seed(0)
    online = Online(buffer=Reservoir(capacity=4), watermark=4, batch_size=4, coarse=0.5, **options)
    return _made(online, surrogate, Normalisation.fit(template, fields), "flips"), fields


def _made(online: Online, surrogate: Surrogate, normalisation: Normalisation, symmetry: str) -> Loop:
    def refill(ids: np.ndarray) -> Block:
        raise AssertionError(ids)

    return online.loop(surrogate, normalisation, symmetry, STEPS, refill=refill, around=Surroundings())


@pytest.mark.parametrize(
    ("surrogate", "points", "expected"),
    [
        (FNO(modes=2, width=4, layers=1), 8, [4, 4, 8, 8]),
        (FNO(modes=2, width=4, layers=1), 7, [7, 7, 7, 7]),
        (FullyConnected(width=4, layers=1), 8, [8, 8, 8, 8]),
    ],
    ids=["even", "odd", "one-grid"],
)
def test_coarse_steps_are_where_the_grid_and_the_surrogate_allow(
    surrogate: Surrogate, points: int, expected: list[int]
) -> None:
    loop, fields = _loop(surrogate, points)
    seen: list[int] = []
    loop.model().module.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-1]))
    for _ in range(STEPS):
        loop.learn(np.arange(4), fields)
    assert seen == expected


def test_the_loss_is_relative_in_every_output_over_all_times() -> None:
    loop, fields = _loop(FullyConnected(width=4, layers=1), augment=False)
    predicted = loop.model().predict(fields)
    errors = [
        np.linalg.norm((predicted[name] - fields[name]).reshape(4, -1), axis=1)
        / np.linalg.norm(fields[name].reshape(4, -1), axis=1)
        for name in ("u", "v")
    ]
    assert loop.learn(np.arange(4), fields) == pytest.approx(np.mean(errors), rel=1e-5)


def test_symmetries_that_do_not_fit_are_refused_before_the_first_step() -> None:
    loop, _ = _loop(FNO(modes=2, width=4, layers=1))
    with pytest.raises(ValueError, match="symmetries is 'hexagon'"):
        _made(Online(), loop.model().surrogate, loop.model().normalisation, "hexagon")
