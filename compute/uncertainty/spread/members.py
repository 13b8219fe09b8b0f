from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Source
from ritz.compute.uncertainty.predicted import About, Arrays, Predicted
from ritz.compute.uncertainty.spread.floor import floored, narrowest
from ritz.compute.uncertainty.spread.spread import FittedSpread, Shape, Spread, Unsuitable

if TYPE_CHECKING:
    from ritz.compute.surrogates.model import Model
    from ritz.compute.surrogates.surrogate import Surrogate


_SEED = 0
"""Of the draws of every sample: the same inputs have the same widths, whatever other samples there are."""


class FittedMembers(FittedSpread):
    """The standard deviation over the members of an ensemble, or over draws of another stochastic surrogate.

    Attributes
    ----------
    floor
        Least width at a point, as a share of the root mean square of the sample's own standard deviation.
    members
        How many there are.
    drawn
        Whether they are draws.
    """

    kind: Literal["members"] = "members"
    floor: float
    members: int
    drawn: bool = False

    def shape(self, inputs: Mapping[str, np.ndarray], prediction: Mapping[str, np.ndarray]) -> Shape:
        """Return how far the members are from each other; they predict once more. See `FittedSpread.shape`."""
        if self._model is None:
            raise ValueError("bands by members need what gives them: read them together with their model")
        return Shape(prediction, floored(_deviations(self._model, inputs), self.floor))

    def made(self) -> str:
        """Return how the bands were made; see `FittedSpread.made`."""
        of = "draws of the surrogate" if self.drawn else "networks trained from other seeds"
        return f"The width of a band is the standard deviation over {self.members} {of}."


class Members(Spread):
    """The standard deviation over the members of an ensemble, which predict each by itself.

    Of another surrogate that is stochastic, such as `Refiner`, it is that over as many draws as its distribution is
    measured by, always of the same seed, for each sample by itself. A few members say it roughly: of 4 the standard
    deviation is off by 40 %. So no point has less than a share of its sample's own level, `floor`.
    """

    sources: ClassVar[tuple[Source, ...]] = (
        Source(
            "B. Lakshminarayanan, A. Pritzel, C. Blundell",
            "Simple and scalable predictive uncertainty estimation using deep ensembles",
            2017,
            "NeurIPS",
            "the spread of a few networks from other seeds is as good an error bar as a Bayesian network's",
            "ensembles.txt",
        ),
    )

    kind: Literal["members"] = "members"
    floor: float | None = Field(default=None, ge=0, le=10)
    """Least width at a point, as a share of the root mean square of the sample's own; None for the share of 1, 10, 30
    and 100 % with which the bands around the validation samples are the narrowest."""

    def unfit(self, surrogate: Surrogate) -> str:
        """Refuse what gives one answer alone; see `Spread.unfit`."""
        if surrogate.stochastic:
            return ""
        return f"the surrogate is {surrogate.kind!r}, expected 'ensemble' or 'refiner': there are no members to compare"

    def fit(self, validate: Predicted, about: About) -> FittedMembers:
        """Choose the floor; see `Spread.fit`."""
        if about.model is None:
            raise Unsuitable("the model is not at hand, so its members cannot be asked")
        if unfit := self.unfit(about.model.surrogate):
            raise Unsuitable(unfit)
        if len(validate) == 0:
            raise ValueError("there is no validation sample to choose the floor by; give the validate split a share")
        floor = self.floor
        if floor is None:
            found = _deviations(about.model, validate.inputs)
            floor = narrowest(found, {name: validate.error(name) for name in found})
        surrogate = about.model.surrogate
        drawn = surrogate.trainings == 1
        members = surrogate.draws if drawn else surrogate.trainings
        return FittedMembers(floor=floor, members=members, drawn=drawn).beside(about.model)


def _deviations(model: Model, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """Return the standard deviation over members or draws, ``(n, *dims)`` float64 for every output."""
    if model.surrogate.trainings > 1:
        return _deviation(model.members(inputs))
    # One by one: the random numbers of a draw depend on the place of a sample in its batch.
    rows = [slice(row, row + 1) for row in range(len(next(iter(inputs.values()))))] or [slice(0)]
    alone = [{name: values[row] for name, values in inputs.items()} for row in rows]
    found = [_deviation(model.sample(one, model.surrogate.draws, _SEED)) for one in alone]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def _deviation(several: Arrays) -> Arrays:
    """Return the standard deviation of fields ``(member, n, *dims)`` over their first axis."""
    return {name: values.std(axis=0, ddof=1, dtype=np.float64) for name, values in several.items()}
