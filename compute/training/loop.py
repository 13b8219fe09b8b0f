from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.model import Model, network
from ritz.compute.surrogates.normalisation import Arrays, Normalisation
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.training.augmentation import averages, check_symmetries, symmetries, transform
from ritz.compute.training.average import Average
from ritz.compute.training.buffers.slots import Slots
from ritz.compute.training.gradients import check_ranks, mean_gradients
from ritz.compute.training.group import Alone, Group
from ritz.compute.training.losses.loss import Batch
from ritz.compute.training.optimiser import evaluates_again
from ritz.compute.training.precision import Arithmetic
from ritz.compute.training.stopping import Best
from ritz.compute.training.trace import Trace

if TYPE_CHECKING:
    import torch

    from ritz.compute.training.training import Training

_RECORDS = 200
_VALIDATIONS = 20


class Loop:
    """The trainer's state and its step: network, optimiser, buffer, random numbers and what was recorded.

    Everything here that changes is in a checkpoint (`ritz.compute.training.checkpoint`).

    Parameters
    ----------
    training, surrogate, normalisation
        What is trained, and how.
    symmetry
        Which symmetries the problem has; see `ritz.compute.training.augmentation.symmetries`.
    total
        Steps to be done.
    problem
        For the losses that need its equations.
    device
        Where the network and the batches lie.
    group
        The ranks that train together, each with such a loop. Network, optimiser, curve and early stopping are the same
        in all of them; buffer, random numbers, schedule and what was received are each one's own. A loop that is alone
        does the work of all ``training.ranks``, one after the other.

    Attributes
    ----------
    step, total
        Steps done and to be done.
    taken
        Training samples received here.
    received
        Time at which each shard arrived, by its number.
    partial
        Training samples taken of the shards that are taken in just now, by their number.
    dry
        Whether some rank has no samples for a further step.
    curve
        ``{"step", "time", "loss", "received", "validate", "validation"}`` a record; ``loss`` is the mean since the
        last, ``received`` that of all ranks, ``validate`` the error on the first ``validation`` of `validation_ids` of
        the first rank.
    schedule
        Ids of every step here, ``(batch,)`` int64 each.
    trace
        Loss of every step, the time they took and on what: what a replay is compared with.
    slots
        What a buffer holds; empty where there is none.
    average
        The moving average of the weights, or None.
    best
        What early stopping keeps, or None.
    """

    def __init__(
        self,
        training: Training,
        surrogate: Surrogate,
        normalisation: Normalisation,
        symmetry: str,
        total: int,
        *,
        problem: Problem | None = None,
        device: str = "cpu",
        group: Group | None = None,
    ) -> None:
        self.training, self.surrogate, self.normalisation, self.total = training, surrogate, normalisation, total
        training.check_losses(normalisation, problem)
        self.group = group or Alone()
        self.device, self.arithmetic = device, Arithmetic(training.precision, device)
        self.module = network(surrogate, normalisation).to(device)
        if training.ranks > 1:
            check_ranks(self.module)
        self.optimiser = training.optimiser.build(self.module.parameters())
        self.follower = training.rate.follow(self.optimiser, total)
        self.average = Average(training.ema, surrogate, normalisation, self.module) if training.ema else None
        self.best = Best(training.stopping) if training.stopping else None
        self.rng = np.random.default_rng(training.seed)
        self.slots = Slots(0)
        self.step = 0
        self.taken = 0
        self.received: dict[int, float] = {}
        self.partial: dict[int, int] = {}
        self.dry = False
        self.curve: list[dict[str, Any]] = []
        self.schedule: list[np.ndarray] = []
        self.losses: list[float] = []
        self.trace = Trace()
        self.validation_ids = np.empty(0, np.int64)
        self._validation: Arrays = {}
        self._penalty = problem.penalty if problem is not None and problem.has_penalty else None
        self._again = evaluates_again(self.optimiser)
        if self._again and self.arithmetic.scaler is not None:
            raise ValueError(
                "precision is 'float16' with an optimiser that evaluates the loss several times per step, which its "
                "scaling does not allow; expected 'float32' or 'bfloat16'"
            )
        check_symmetries(symmetry, normalisation.dimensions)
        self._symmetries = symmetries(symmetry if training.augment else "none", normalisation.axes)

    @property
    def stopped(self) -> bool:
        """Whether early stopping says that no further step is to be done."""
        return self.best is not None and self.best.exhausted

    @property
    def done(self) -> bool:
        """Whether no step is left to be done."""
        return self.step >= self.total or self.stopped or self.dry

    def learn(self, ids: np.ndarray, fields: Mapping[str, np.ndarray]) -> float:
        """Do one step with all ranks, on a batch of each, and return its loss.

        Parameters
        ----------
        ids, fields
            ``(batch,)`` sample ids and ``(batch, *dims)`` for every variable, in physical units; where this loop does
            the work of several ranks, their batches in order.

        Raises
        ------
        FloatingPointError
            If the loss or the validation error is not finite.
        PeerLost
            If another rank is gone.
        """
        import torch

        self.trace.begin(self.step, self.module)
        began = time.perf_counter()
        x, y = self.normalisation.encode("input", fields), self.normalisation.encode("output", fields)
        if self._coarse(x.shape[2:]):
            x, y = averages(x), averages(y)
        if len(self._symmetries) > 1:
            # Drawn from the number of the step alone, so that a step can be done again from its ids.
            rng = np.random.default_rng((self.training.seed, self.step))
            chosen = rng.integers(len(self._symmetries), size=self.group.size * len(x))[self.group.rank * len(x) :]
            x, y = (transform(values, self._symmetries, chosen[: len(x)]) for values in (x, y))
        self.follower.before(self.step)
        self.module.train()
        # Copied, because torch aligns its memory and NumPy does not, and how sums are rounded depends on that.
        on_device = (torch.from_numpy(values).to(self.device, copy=True) for values in (x, y))
        value = self._optimise(*on_device)
        self.schedule.append(ids)
        self.losses.append(value)
        self.step += 1
        self.follower.after()
        if self.average is not None:
            self.average.update(self.module, self.step)
        self._record()
        self.trace.add(value, time.perf_counter() - began)
        return value

    def set_validation(self, ids: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        """Keep the samples on which the validation error of the curve is taken."""
        self.validation_ids, self._validation = ids, dict(fields)

    def add_validation(self, ids: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        """Keep more samples for the validation error, up to the number in the configuration: on the first rank."""
        room = 0 if self.group.rank else max(0, self.training.validation - len(self.validation_ids))
        if room == 0 or len(ids) == 0:
            return
        joined = {
            name: np.concatenate([self._validation[name], values[:room]]) if self._validation else values[:room]
            for name, values in fields.items()
        }
        self.set_validation(np.concatenate([self.validation_ids, ids[:room]]), joined)

    def model(self) -> Model:
        """Return the model as it is now, with the averaged weights if there are any; it shares them with the loop."""
        module = self.module if self.average is None else self.average.module
        return Model(self.surrogate, self.normalisation, module)

    def settle(self) -> None:
        """Record what was learnt since the last record, where the training ends between two."""
        if self.losses:
            self._append(validates=True)

    def finish(self) -> Model:
        """Return the trained model, on the CPU: with the best weights where early stopping keeps them."""
        model = self.model()
        model.module.cpu().eval()
        if self.best is not None:
            self.best.restore(model.module)
        return model

    def validate(self) -> float | None:
        """Return the mean relative L2 error on the validation samples of this rank, or None while there are none."""
        from ritz.compute.fields.errors import relative_l2

        if len(self.validation_ids) == 0:
            return None
        predicted = self.model().predict(self._validation)
        return float(np.mean([relative_l2(u, self._validation[name]).mean() for name, u in predicted.items()]))

    def _coarse(self, space: tuple[int, ...]) -> bool:
        """Return whether the next step sees means over blocks of points."""
        possible = self.surrogate.any_grid and not self.normalisation.dimensions.mesh and all(n % 2 == 0 for n in space)
        return possible and self.step < self.training.coarse * self.total

    def _optimise(self, x: torch.Tensor, y: torch.Tensor) -> float:
        """Let the optimiser do one step and return the loss before it."""
        first: list[float] = []
        parts = self.training.ranks // self.group.size

        def backward(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            loss = self._loss(x, y)
            self.arithmetic.backward(loss)
            return loss

        def evaluate() -> float:
            self.optimiser.zero_grad()
            alone = self.training.ranks == 1
            loss = backward(x, y) if alone else mean_gradients(self.module, x, y, parts, self.group, backward)
            first.append(float(loss.detach()))
            if not math.isfinite(first[-1]):
                raise self._diverged(f"the loss of step {self.step}", first[-1])
            self._clip()
            return first[-1]

        if self._again:
            self.optimiser.step(evaluate)
        else:
            evaluate()
            self.arithmetic.step(self.optimiser)
        return first[0]

    def _diverged(self, what: str, value: float) -> FloatingPointError:
        rate = self.optimiser.param_groups[0]["lr"]
        return FloatingPointError(
            f"{what} is {value} at a learning rate of {rate:.3g}: take a smaller learning rate or clip"
        )

    def _clip(self) -> None:
        import torch

        self.arithmetic.unscale(self.optimiser)
        if self.training.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.training.clip)

    def _loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the weighted sum of the losses, in float32 whatever the network multiplies in."""
        with self.arithmetic.forward():
            channels = self.module(x)
        prediction, truth = (self.normalisation.decode(values) for values in (channels.float(), y))
        batch = Batch(self.normalisation, x, prediction, truth)
        terms = [loss.value(batch, self._penalty) * loss.weight for loss in self.training.losses]
        return sum(terms[1:], start=terms[0])

    def _record(self) -> None:
        """Append to the curve where a record is due."""
        last = self.step == self.total
        due = last or self.step % max(1, self.total // _VALIDATIONS) == 0
        if not due and self.step > 1 and self.step % max(1, self.total // _RECORDS):
            return
        self._append(validates=due)

    def _append(self, validates: bool) -> None:
        """Append to the curve what all ranks come to; the first of them validates for all."""
        here = self.validate() if validates and self.group.rank == 0 else None
        everyone = self.group.collect((here, len(self.validation_ids), self.taken))
        error, samples, _ = everyone[0]
        if error is not None and not math.isfinite(error):
            raise self._diverged(f"the validation error after step {self.step}", error)
        if error is not None:
            self.follower.validated(error)
            if self.best is not None:
                self.best.observe(error, samples, self.step, self.model().module)
        self.curve.append(
            {
                "step": self.step,
                "time": time.time(),
                "loss": float(np.mean(self.losses)),
                "received": sum(taken for _, _, taken in everyone),
                "validate": error,
                "validation": samples,
            }
        )
        self.losses.clear()
