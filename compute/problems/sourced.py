"""Problems on a box with a random coefficient and a random source, which draw both and order by both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.fields.arrays import Array
from ritz.compute.problems.gaussian import Gaussian, parted, shared
from ritz.compute.problems.laws import InMedium
from ritz.compute.problems.sizes import size
from ritz.compute.problems.spectrum import leading_cosines

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays


class InSourcedMedium(InMedium):
    """A problem in a medium ``a`` with a source ``f``: part of one with the fields ``source`` and ``strength``, too."""

    if TYPE_CHECKING:
        # Fields of the problem, which keep their places among its others.
        source: Gaussian
        strength: float

    def draw(self, seed: int, ids: np.ndarray) -> Arrays:
        """Draw coefficients and sources, ``a`` and ``f`` ``(n, *shape)`` float32; see `Problem.draw`."""
        return self.draw_at(seed, ids, None)

    @property
    def _shares(self) -> tuple[int, ...]:
        axes = len(self.shape)
        return shared((self.law.leading(axes), self.source.leading(axes)))

    @property
    def leading(self) -> int:
        """How many leading coefficients of log a and of f may be given; see `Problem.leading`."""
        return sum(self._shares)

    def draw_at(self, seed: int, ids: np.ndarray, given: np.ndarray | None) -> Arrays:
        """Draw with given leading coefficients, those of log a first; see `Problem.draw_at`."""
        first, rest = parted(given, self._shares)
        return {
            "a": self.law.draw_at(seed, ids, self.shape, first).astype(np.float32),
            "f": (self.strength * self.source.draw(seed, ids, self.shape, given=rest)).astype(np.float32),
        }

    def features(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return 8 leading cosine coefficients of log a and 8 of f over ``strength``, ``(n, 16)`` float32."""
        material = leading_cosines(np.log(inputs["a"].astype(np.float64)))[:, :8]
        return np.concatenate([material, leading_cosines(inputs["f"])[:, :8] / np.float32(self.strength)], axis=1)

    def scale(self, inputs: Mapping[str, Array]) -> Array:
        """Return ‖f‖; see `Problem.scale`."""
        return size(inputs["f"])
