from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.evaluation.rollouts.spectra import energy_spectrum, shown_steps, spectra, unfit, wavenumbers
from ritz.compute.fields.dimensions import Dimensions

RNG = np.random.default_rng(0)


def dimensions(**sizes: int) -> Dimensions:
    space = tuple(name for name in sizes if name in ("z", "y", "x"))
    of_u = ("time", "part", *space)
    return Dimensions(
        space=space,
        sizes={"time": 4, "part": 2} | sizes,
        variables={"u": of_u},
        inputs=(),
        lengths=(2.0, 3.0, 5.0)[: len(space)],
        times=(1.0, 2.0, 3.0, 4.0),
    )


@pytest.mark.parametrize("rings", [(True, True), (False, False), (True, False), (False, True)])
def test_the_energies_add_up_to_the_mean_square(rings: tuple[bool, bool]) -> None:
    fields = RNG.standard_normal((3, 4, 8, 9))
    _, energy = energy_spectrum(fields, (2.0, 3.0), rings)
    assert energy.shape[:2] == (3, 4)
    np.testing.assert_allclose(energy.sum(axis=2), np.mean(fields**2, axis=(2, 3)), rtol=1e-12)


def test_a_wave_lies_at_its_wavenumber() -> None:
    n, length = 32, 4.0
    x = (np.arange(n) + 0.5) * length / n
    k = 2 * np.pi * 3 / length
    for field, ring in ((np.sin(k * x + 0.7), True), (np.cos(k * x), False)):
        numbers, energy = energy_spectrum(field, (length,), (ring,))
        there = np.flatnonzero(energy > 1e-12)
        np.testing.assert_allclose(numbers[there], k)
        np.testing.assert_allclose(energy[there], 0.5)
    # Oblique waves lie at the length of their wave vector, whatever the box.
    y = (np.arange(24) + 0.5) * 2.0 / 24
    oblique = np.cos(2 * np.pi * 4 * y / 2.0)[:, None] * np.cos(2 * np.pi * 6 * x / length)
    numbers, energy = energy_spectrum(oblique, (2.0, length), (True, True))
    assert numbers[1] == pytest.approx(np.pi)
    assert numbers[energy.argmax()] == pytest.approx(np.pi * 5)
    assert energy.max() == pytest.approx(0.25)


def test_spectra_of_an_output_are_those_of_its_states_and_components() -> None:
    space = dimensions(y=8, x=6)
    values = RNG.standard_normal((3, 4, 2, 8, 6))
    found = spectra(values, space, "u", ("x",), np.array([1, 3]))
    numbers = wavenumbers(space, ("x",))
    assert found.shape == (3, 2, len(numbers))
    for sample, at, step in ((0, 0, 1), (2, 1, 3)):
        alone = [energy_spectrum(values[sample, step, part], (2.0, 3.0), (False, True))[1] for part in range(2)]
        np.testing.assert_allclose(found[sample, at], np.sum(alone, axis=0), rtol=1e-12)


def test_a_mesh_and_a_single_point_have_none() -> None:
    assert unfit(dimensions(y=8, x=6)) == ""
    assert unfit(dimensions(y=8, x=6).model_copy(update={"lengths": None})) == "it needs a grid of even spacing"
    assert unfit(dimensions(y=8, x=1)) == "it needs two points or more along every axis"
    np.testing.assert_array_equal(shown_steps(1), [0])
    np.testing.assert_array_equal(shown_steps(101), [0, 50, 100])
