from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from compute.surrogates.model import Model, network
from compute.surrogates.normalisation import Arrays, Normalisation
from compute.surrogates.surrogate import Surrogate
from compute.training.augmentation import averages, check_symmetries, symmetries, transform
from compute.training.reservoir import Reservoir
from compute.training.trace import Trace

if TYPE_CHECKING:
    import torch

    from compute.training.online import Online

_RECORDS = 200
_VALIDATIONS = 20


class Loop:
    """The trainer's state and its step: network, optimiser, buffer, random numbers and what was recorded.

    Everything here that changes is in a checkpoint (`compute.training.checkpoint`).

    Attributes
    ----------
    step, total
        Steps done and to be done.
    taken
        Training samples received.
    received
        Time at which each shard arrived, by its number.
    curve
        ``{"step", "time", "loss", "received", "validate", "validation"}`` a record; ``loss`` is the mean since the
        last, ``validate`` the error on the first ``validation`` of `validation_ids`.
    schedule
        Ids of every step, ``(batch,)`` int64 each.
    trace
        Loss of every step, the time they took and on what: what a replay is compared with.
    """

    def __init__(
        self, online: Online, surrogate: Surrogate, normalisation: Normalisation, symmetry: str, total: int
    ) -> None:
        import torch

        self.online, self.surrogate, self.normalisation, self.total = online, surrogate, normalisation, total
        self.module = network(surrogate, normalisation)
        self.optimiser = torch.optim.AdamW(
            self.module.parameters(), lr=online.learning_rate, weight_decay=online.weight_decay
        )
        self.rng = np.random.default_rng(online.seed)
        self.reservoir = Reservoir(online.reservoir, self.rng)
        self.step = 0
        self.taken = 0
        self.received: dict[int, float] = {}
        self.curve: list[dict[str, Any]] = []
        self.schedule: list[np.ndarray] = []
        self.losses: list[float] = []
        self.trace = Trace()
        self.validation_ids = np.empty(0, np.int64)
        self._validation: Arrays = {}
        check_symmetries(symmetry, normalisation.dimensions)
        self._group = symmetries(symmetry if online.augment else "none", normalisation.axes)

    def rate(self) -> float:
        """Return the learning rate of the next step: a linear rise, then half a cosine down to zero."""
        rise = max(1.0, self.online.warm_up * self.total)
        if self.step < rise:
            return self.online.learning_rate * (self.step + 1) / (rise + 1)
        past = (self.step - rise) / max(1.0, self.total - rise)
        return self.online.learning_rate * 0.5 * (1 + math.cos(math.pi * past))

    def advance(self) -> float:
        """Draw a batch from the reservoir, do one step on it and return its loss; see `learn`."""
        return self.learn(*self.reservoir.draw(self.online.batch_size))

    def learn(self, ids: np.ndarray, fields: Mapping[str, np.ndarray]) -> float:
        """Do one step on a batch and return its loss.

        Parameters
        ----------
        ids, fields
            ``(batch,)`` sample ids and ``(batch, *dims)`` for every variable, in physical units.

        Raises
        ------
        FloatingPointError
            If the loss is not finite.
        """
        import torch

        self.trace.begin(self.step, self.module)
        began = time.perf_counter()
        x, y = self.normalisation.encode("input", fields), self.normalisation.encode("output", fields)
        if self._coarse(x.shape[2:]):
            x, y = averages(x), averages(y)
        if len(self._group) > 1:
            # Drawn from the number of the step alone, so that a step can be done again from its ids.
            chosen = np.random.default_rng((self.online.seed, self.step)).integers(len(self._group), size=len(x))
            x, y = transform(x, self._group, chosen), transform(y, self._group, chosen)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.module.train()
        self.optimiser.zero_grad()
        loss = self._loss(torch.from_numpy(x), torch.from_numpy(y))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss of step {self.step} is {value} at learning_rate {self.online.learning_rate}: "
                "take a smaller learning_rate or clip"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.online.clip)
        self.optimiser.step()
        self.schedule.append(ids)
        self.losses.append(value)
        self.step += 1
        self._record()
        self.trace.add(value, time.perf_counter() - began)
        return value

    def set_validation(self, ids: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        """Keep the samples on which the validation error of the curve is taken."""
        self.validation_ids, self._validation = ids, dict(fields)

    def add_validation(self, ids: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        """Keep more samples for the validation error, up to the number in the configuration."""
        room = max(0, self.online.validation - len(self.validation_ids))
        if room == 0 or len(ids) == 0:
            return
        joined = {
            name: np.concatenate([self._validation[name], values[:room]]) if self._validation else values[:room]
            for name, values in fields.items()
        }
        self.set_validation(np.concatenate([self.validation_ids, ids[:room]]), joined)

    def model(self) -> Model:
        """Return the model as it is now; it shares the network with the loop."""
        return Model(self.surrogate, self.normalisation, self.module)

    def validate(self) -> float | None:
        """Return the mean relative L2 error on the validation samples, or None while there are none."""
        from compute.metrics.errors import relative_l2

        if len(self.validation_ids) == 0:
            return None
        predicted = self.model().predict(self._validation)
        return float(np.mean([relative_l2(u, self._validation[name]).mean() for name, u in predicted.items()]))

    def _coarse(self, space: tuple[int, ...]) -> bool:
        """Return whether the next step sees means over blocks of points."""
        possible = self.surrogate.any_grid and not self.normalisation.dimensions.mesh and all(n % 2 == 0 for n in space)
        return possible and self.step < self.online.coarse * self.total

    def _loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the relative L2 error in physical units, averaged over samples and outputs.

        The norms of an output are over all its channels, so a state that has decayed weighs what it is.
        """
        import torch

        prediction, truth = (self.normalisation.decode(channels) for channels in (self.module(x), y))
        errors = []
        for part in self.normalisation.channels("output"):
            p, t = prediction[:, part].flatten(1), truth[:, part].flatten(1)
            errors.append((p - t).norm(dim=1) / t.norm(dim=1).clamp_min(1e-30))
        return torch.stack(errors, dim=1).mean()

    def _record(self) -> None:
        """Append to the curve where a record is due."""
        last = self.step == self.total
        due = last or self.step % max(1, self.total // _VALIDATIONS) == 0
        if not due and self.step > 1 and self.step % max(1, self.total // _RECORDS):
            return
        self.curve.append(
            {
                "step": self.step,
                "time": time.time(),
                "loss": float(np.mean(self.losses)),
                "received": self.taken,
                "validate": self.validate() if due else None,
                "validation": len(self.validation_ids),
            }
        )
        self.losses.clear()
