from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.minibatch import Minibatch
from ritz.compute.surrogates.model import Model
from ritz.compute.surrogates.network import Network, network
from ritz.compute.surrogates.normalisation import Normalisation
from ritz.compute.surrogates.weights import load_weights, weights
from ritz.compute.training.losses.loss import Batch
from ritz.compute.training.parts.average import Average
from ritz.compute.training.parts.network import Weights
from ritz.compute.training.parts.optimiser import Moments, evaluates_again
from ritz.compute.training.parts.part import Part
from ritz.compute.training.parts.precision import Arithmetic
from ritz.compute.training.parts.stopping import Best
from ritz.compute.training.ranks.gradients import check_ranks, mean_gradients
from ritz.compute.training.ranks.group import Group
from ritz.compute.training.samples.augmentation import averages, check_symmetries, symmetries, transform
from ritz.compute.training.steps.step import Step
from ritz.compute.training.training_record import BestValidation

if TYPE_CHECKING:
    import torch

    from ritz.compute.training.stepped import Stepped


class Descent(Step):
    """A step of gradient descent: network, optimiser and what goes with them.

    Parameters
    ----------
    training, surrogate, normalisation
        What is trained, and how.
    symmetry
        Which symmetries the problem has; see `ritz.compute.training.samples.augmentation.symmetries`.
    total
        Steps to be done.
    problem
        For the losses that need its equations.
    device
        Where the network and the batches lie.
    group
        The ranks that train together, each with such a step; network, optimiser and early stopping are the same in all
        of them. One that is alone does the work of all ``training.ranks``, one after the other.

    Attributes
    ----------
    module
        The network, as it is trained.
    average
        The moving average of its weights, or None.
    """

    def __init__(
        self,
        training: Stepped,
        surrogate: Network,
        normalisation: Normalisation,
        symmetry: str,
        total: int,
        *,
        problem: Problem | None,
        device: str,
        group: Group,
    ) -> None:
        self.training, self.surrogate, self.normalisation, self.total = training, surrogate, normalisation, total
        training.check_losses(normalisation, problem)
        self.group, self._device, self._arithmetic = group, device, Arithmetic(training.precision, device)
        self.module = network(surrogate, normalisation).to(device)
        self.device = str(next(self.module.parameters()).device)
        if training.ranks > 1:
            check_ranks(self.module)
        self._optimiser = training.optimiser.build(self.module.parameters())
        rate = training.rate.follow(self._optimiser, total)
        self.average = Average(training.ema, surrogate, normalisation, self.module) if training.ema else None
        self._best = Best(training.stopping) if training.stopping else None
        parts = (Weights(self.module), Moments(self._optimiser), rate, self._arithmetic, self.average, self._best)
        self.parts: tuple[Part, ...] = tuple(part for part in parts if part is not None)
        self._penalty = problem.penalty if problem is not None and problem.has_penalty else None
        self._again = evaluates_again(self._optimiser)
        if self._again and self._arithmetic.scaler is not None:
            raise ValueError(
                "precision is 'float16' with an optimiser that evaluates the loss several times per step, which its "
                "scaling does not allow; expected 'float32' or 'bfloat16'"
            )
        check_symmetries(symmetry, normalisation.dimensions)
        self._symmetries = symmetries(symmetry if training.augment else "none", normalisation.axes)

    def learn(self, number: int, fields: Mapping[str, np.ndarray]) -> float:
        """Do one step with all ranks, on a batch of each; see `Step.learn`.

        Where this does the work of several ranks, ``fields`` are their batches in order.

        Raises
        ------
        FloatingPointError
            If the loss is not finite.
        PeerLost
            If another rank is gone.
        """
        import torch

        x, y = self.normalisation.encode("input", fields), self.normalisation.encode("output", fields)
        if self._coarse(number, x.shape[2:]):
            x, y = averages(x), averages(y)
        if len(self._symmetries) > 1:
            # Drawn from the number of the step alone, so that a step can be done again from its ids.
            rng = np.random.default_rng((self.training.seed, number))
            chosen = rng.integers(len(self._symmetries), size=self.group.size * len(x))[self.group.rank * len(x) :]
            x, y = (transform(values, self._symmetries, chosen[: len(x)]) for values in (x, y))
        self.module.train()
        # Copied, because torch aligns its memory and NumPy does not, and how sums are rounded depends on that.
        on_device = (torch.from_numpy(values).to(self._device, copy=True) for values in (x, y))
        return self._optimise(number, *on_device)

    def start(self, model: Model) -> None:
        """Take the weights of a model of the same network; see `Step.start`."""
        if model.surrogate != self.surrogate:
            raise ValueError(f"start is a model of {model.surrogate!r}, expected one of {self.surrogate!r}")
        for module in (self.module, self.average.module if self.average else None):
            if module is not None:
                load_weights(module, weights(model.module))

    def model(self) -> Model:
        """Return the model as it is now, with the averaged weights if there are any; see `Step.model`."""
        module = self.module if self.average is None else self.average.module
        return Model(self.surrogate, self.normalisation, module)

    def finish(self) -> Model:
        """Return the trained model, on the CPU: with the best weights where early stopping keeps them."""
        model = super().finish()
        if self._best is not None:
            self._best.restore(model.module)
        return model

    @property
    def exhausted(self) -> bool:
        """Whether early stopping says that no further step is to be done."""
        return self._best is not None and self._best.exhausted

    @property
    def best(self) -> BestValidation | None:
        """The validation whose weights were kept, where there is early stopping and a validation."""
        best = self._best
        return BestValidation(step=best.step, error=best.error) if best is not None and best.tensors else None

    def setting(self) -> str:
        """Say at which learning rate; see `Step.setting`."""
        rate = self._optimiser.param_groups[0]["lr"]
        return f" at a learning rate of {rate:.3g}: take a smaller learning rate or clip"

    def _coarse(self, number: int, space: tuple[int, ...]) -> bool:
        """Return whether a step sees means over blocks of points."""
        anywhere = self.surrogate.any_grid and not self.surrogate.steps_in_time
        possible = anywhere and not self.normalisation.dimensions.mesh and all(n % 2 == 0 for n in space)
        return possible and number < self.training.coarse * self.total

    def _optimise(self, number: int, x: torch.Tensor, y: torch.Tensor) -> float:
        """Let the optimiser do one step and return the loss before it."""
        first: list[float] = []
        parts = self.training.ranks // self.group.size

        def backward(x: torch.Tensor, y: torch.Tensor, rank: int) -> torch.Tensor:
            loss = self._objective((self.training.seed, number, rank), x, y)
            self._arithmetic.backward(loss)
            return loss

        def evaluate() -> float:
            self._optimiser.zero_grad()
            alone = self.training.ranks == 1
            loss = backward(x, y, 0) if alone else mean_gradients(self.module, x, y, parts, self.group, backward)
            first.append(float(loss.detach()))
            if not math.isfinite(first[-1]):
                raise FloatingPointError(f"the loss of step {number} is {first[-1]}{self.setting()}")
            self._clip()
            return first[-1]

        if self._again:
            self._optimiser.step(evaluate)
        else:
            evaluate()
            self._arithmetic.step(self._optimiser)
        return first[0]

    def _clip(self) -> None:
        import torch

        self._arithmetic.unscale(self._optimiser)
        if self.training.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.training.clip)

    def _objective(self, key: tuple[int, int, int], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return what the surrogate wants to be made smaller."""

        def losses(channels: torch.Tensor) -> torch.Tensor:
            prediction, truth = (self.normalisation.decode(values) for values in (channels.float(), y))
            batch = Batch(self.normalisation, x, prediction, truth)
            terms = [loss.value(batch, self._penalty) * loss.weight for loss in self.training.losses]
            return sum(terms[1:], start=terms[0])

        batch = Minibatch(self.normalisation, x, y, losses, self._arithmetic.forward, key)
        return self.surrogate.objective(self.module, batch)
