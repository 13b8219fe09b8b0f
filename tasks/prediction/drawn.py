"""Draws of predictions, of a surrogate that is stochastic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.tasks.errors import InputError
from ritz.tasks.prediction.horizon import with_start

if TYPE_CHECKING:
    from ritz.compute.problems.problem import Arrays
    from ritz.compute.surrogates.model import Model

MEMBER = "member"
"""Dimension of the draws in a file."""

MOST = 10_000
"""Most draws that are asked for at once."""


def check_members(members: int | None, seed: int | None, sample_dim: str | None) -> None:
    """Refuse a number of draws, a seed without draws, or samples along the dimension of the draws.

    Raises
    ------
    InputError
        If the number is not between 1 and `MOST`, the seed is negative, there is a seed and no number, or the samples
        lie along ``member``.
    """
    if members is None and seed is not None:
        raise InputError(f"--seed is {seed} without --members, expected both: nothing else of a prediction is random")
    if members is not None and not 1 <= members <= MOST:
        raise InputError(f"--members is {members}, expected 1 to {MOST}")
    if seed is not None and not 0 <= seed < 2**63:
        raise InputError(f"--seed is {seed}, expected 0 or a positive number below 2^63")
    if members is not None and sample_dim == MEMBER:
        raise InputError(f"--sample-dim is {MEMBER!r} with --members, whose draws lie along it; expected another name")


@dataclass(frozen=True)
class Drawn:
    """Draws of the outputs of some samples.

    Attributes
    ----------
    fields
        ``(member, n, *dims)`` float32 by output.
    seed
        Fixes them.
    """

    fields: Arrays
    seed: int

    @classmethod
    def of(
        cls,
        model: Model,
        spec: str,
        inputs: Mapping[str, np.ndarray],
        members: int,
        seed: int,
        times: Sequence[float] | None = None,
    ) -> Drawn:
        """Draw outputs.

        Parameters
        ----------
        model, spec
            What draws, and its name and version.
        inputs
            ``(n, *dims)`` by variable.
        members, seed
            See `check_members`.
        times
            From 0 on, see `ritz.tasks.prediction.horizon.read_times`; None for those of the training.

        Raises
        ------
        InputError
            If the surrogate is deterministic, or does not draw at these times.
        """
        surrogate = model.surrogate
        if not surrogate.stochastic:
            raise InputError(
                f"--members is {members}, but the surrogate {surrogate.kind!r} of model {spec} is deterministic; "
                "expected one that draws its predictions, such as 'refiner' or 'ensemble'"
            )
        if times is None:
            return cls(model.sample(inputs, members, seed), seed)
        try:
            fields = model.sample_rollout(inputs, [time for time in times if time > 0], members, seed)
        except ValueError as error:
            raise InputError(f"--members with --times: {error}") from None
        return cls(with_start(fields, times, inputs, model.normalisation.dimensions), seed)

    def about(self, long_name: str) -> Mapping[str, Any]:
        """Return what a file says of the draws of an output."""
        return {
            "long_name": f"draws of {long_name} by the surrogate",
            "comment": f"seed {self.seed}; their spread is not calibrated",
        }

    def coordinate(self) -> tuple[str, np.ndarray, Mapping[str, Any]]:
        """Return the numbers of the draws as a coordinate of a file."""
        count = len(next(iter(self.fields.values())))
        about = {"standard_name": "realization", "long_name": "number of the draw", "units": "1"}
        return MEMBER, np.arange(count, dtype=np.int32), about
