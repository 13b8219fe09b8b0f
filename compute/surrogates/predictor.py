from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ritz.compute.surrogates.normalisation import Arrays


class Predictor(Protocol):
    """What a surrogate makes: fields from fields, in physical units."""

    def predict(self, inputs: Mapping[str, np.ndarray], batch: int = 32) -> Arrays:
        """Predict the outputs of ``n`` samples.

        Parameters
        ----------
        inputs
            ``(n, *dims)`` for every input variable, in physical units; other entries are ignored.
        batch
            Samples in one pass; bounds the memory. The answer may depend on it in the last bits.

        Returns
        -------
        dict
            ``(n, *dims)`` float32 for every output variable.

        Raises
        ------
        ValueError
            If an input is missing, has other dimensions or values outside the variable's range, or lies on a grid on
            which the surrogate does not work.
        """

    def sample(self, inputs: Mapping[str, np.ndarray], members: int, seed: int, batch: int = 32) -> Arrays:
        """Draw from the distribution of the outputs of ``n`` samples, where the surrogate is stochastic.

        Parameters
        ----------
        inputs
            As for `predict`.
        members
            Draws of every sample, at least one.
        seed
            Fixes them, together with ``batch``.
        batch
            Samples in one pass.

        Returns
        -------
        dict
            ``(member, n, *dims)`` float32 for every output variable.

        Raises
        ------
        ValueError
            As for `predict`, or if the surrogate is deterministic.
        """

    def members(self, inputs: Mapping[str, np.ndarray], batch: int = 32) -> Arrays:
        """Predict what every member of an ensemble says of ``n`` samples; their mean is what `predict` returns.

        Parameters
        ----------
        inputs, batch
            As for `predict`.

        Returns
        -------
        dict
            ``(member, n, *dims)`` float32 for every output variable.

        Raises
        ------
        ValueError
            As for `predict`, or if the surrogate is no ensemble.
        """

    def to_bytes(self) -> bytes:
        """Return it as one safetensors blob; the same predictor gives the same bytes."""
