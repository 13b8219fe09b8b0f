from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ritz.compute.kind import Fault, OneOf, Source, in_units
from ritz.compute.surrogates.ensemble.randomized_prior import RandomizedPrior
from ritz.compute.surrogates.families import NETWORKS
from ritz.compute.surrogates.grid import Grid
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import network
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.rollout.closure import Closure
from ritz.compute.surrogates.rollout.latent_ode import LatentODE
from ritz.compute.surrogates.rollout.staggered import Staggered
from ritz.compute.surrogates.rollout.stepping import Stepping
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.surrogates.weights import load_weights

if TYPE_CHECKING:
    import torch

    from ritz.compute.surrogates.networks.members import Members


class Ensemble(Surrogate):
    """Several networks of one kind that were trained alike from other seeds; their mean is what is predicted.

    The members differ in their first weights, in the order in which they see the samples and in the symmetries by which
    these are moved. Where they disagree the prediction is doubtful: `Model.members` gives what each says, and the
    spread ``members`` makes bands of it. `Model.sample` draws members, with replacement.

    A run trains the first member on the stream. The others are trained on the published version, one task each, and
    take in its shards in the order in which they were dispatched.

    Source: Lakshminarayanan, Pritzel, Blundell, "Simple and scalable predictive uncertainty estimation using deep
    ensembles", NeurIPS 2017. Theirs also learn a variance and see adversarial examples; these do neither.
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

    kind: Literal["ensemble"] = "ensemble"
    member: Annotated[
        Surrogate,
        OneOf(
            Surrogate,
            lambda: (*NETWORKS, RandomizedPrior, Stepping, Closure, Staggered, LatentODE),
            group="ritz.surrogates",
        ),
    ] = FNO()
    """What each member is."""
    size: int = Field(default=4, ge=2, le=64, json_schema_extra=in_units("members"))
    """Members."""

    stochastic: ClassVar[bool] = True

    def faults(self) -> Iterator[Fault]:
        """Yield members that are no networks; see `Kind.faults`."""
        if self.member.as_network() is None:
            yield Fault(
                ("member",),
                f"member is {self.member.kind!r}, expected a network, such as 'fno': what is fitted at once comes out "
                "the same from every seed",
            )
        elif self.member.stochastic:
            yield Fault(
                ("member",), f"member is {self.member.kind!r}, which draws its answers; expected one that does not"
            )

    @property
    def any_grid(self) -> bool:  # type: ignore[override]  # the class alone does not know what its members are
        """Whether the members work on any grid."""
        return self.member.any_grid

    @property
    def learner(self) -> Surrogate:
        """The member; see `Surrogate.learner`."""
        return self.member

    @property
    def trainings(self) -> int:
        """One for each member; see `Surrogate.trainings`."""
        return self.size

    def joined(self, members: Sequence[Model]) -> Model:
        """Return the model of trained members.

        Raises
        ------
        ValueError
            If they are not ``size`` models of ``member`` for the same variables on the same grid.
        """
        from ritz.compute.surrogates.networks.members import Members

        if len(members) != self.size:
            raise ValueError(f"got {len(members)} members, expected size = {self.size}")
        first = members[0].normalisation
        for number, one in enumerate(members):
            if one.surrogate != self.member:
                raise ValueError(f"member {number} is {one.surrogate!r}, expected {self.member!r}")
            if _outline(one.normalisation) != _outline(first):
                raise ValueError(f"member {number} was trained on other variables or another grid than member 0")
        module = Members([one.module for one in members], [one.normalisation for one in members])
        return Model(self, first, module.eval())

    def restored(self, normalisation: Normalisation, tensors: Mapping[str, np.ndarray]) -> torch.nn.Module:
        """Return the members with these weights; see `Surrogate.restored`."""
        from ritz.compute.surrogates.networks.members import Members

        member = self.member.as_network()
        assert member is not None
        empty = [network(member, normalisation) for _ in range(self.size)]
        module = Members(empty, [normalisation] * self.size)
        load_weights(module, tensors)
        return module

    def parameters(self, module: torch.nn.Module) -> int:
        """Return the number of parameters of all members; see `Surrogate.parameters`."""
        return sum(self.member.parameters(one) for one in _of(module).members)

    def first(self, model: Model) -> Model:
        """Return the first member; see `Surrogate.first`."""
        return Model(self.member, model.normalisation, _of(model.module).members[0])

    def members(self, module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Return what every member says; see `Surrogate.members`."""
        return _of(module).each(x)

    def sample(
        self, module: torch.nn.Module, x: torch.Tensor, members: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Draw members for every sample, with replacement; see `Surrogate.sample`."""
        import torch

        each = _of(module).each(x)
        chosen = torch.randint(self.size, (members, len(x)), generator=generator).to(x.device)
        return each[chosen, torch.arange(len(x), device=x.device)]

    def check(self, grid: Grid) -> None:
        """Refuse what a member refuses; see `Surrogate.check`."""
        self.member.check(grid)


def _of(module: torch.nn.Module) -> Members:
    from ritz.compute.surrogates.networks.members import Members

    assert isinstance(module, Members)
    return module


def _outline(normalisation: Normalisation) -> Normalisation:
    """Return the variables and dimensions of a normalisation without its numbers."""
    plain = tuple(one.model_copy(update={"mean": 0.0, "scale": 1.0}) for one in normalisation.variables)
    return normalisation.model_copy(update={"variables": plain})
