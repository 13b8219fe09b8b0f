from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.fields.dimensions import TIME
from ritz.compute.fields.tensors import pack, unpack
from ritz.compute.surrogates.fitted.fitted import Blocks, Fitted
from ritz.compute.surrogates.normalisation import Arrays, Normalisation, Variable
from ritz.compute.surrogates.predictor import Predictor
from ritz.compute.surrogates.surrogate import Surrogate
from ritz.compute.surrogates.weights import weights

if TYPE_CHECKING:
    import torch

_FORMAT = "ritz-model/1"


@dataclass(frozen=True)
class Model(Predictor):
    """A trained surrogate: configuration, normalisation and what was learnt, in and out in physical units.

    Attributes
    ----------
    surrogate
        What learnt it.
    normalisation
        Frozen when training began; names the variables.
    module
        What was learnt: the trained network, or the buffers of a fit.
    """

    surrogate: Surrogate
    normalisation: Normalisation
    module: torch.nn.Module

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Inputs and outputs with transform, units and scale."""
        return self.normalisation.variables

    @classmethod
    def fitted(cls, surrogate: Fitted, normalisation: Normalisation, blocks: Blocks) -> Model:
        """Return the model that comes of a fit; see `Fitted.fit`."""
        return cls(surrogate, normalisation, surrogate.fit(normalisation, blocks).eval())

    @property
    def size(self) -> int:
        """How many numbers were learnt."""
        return self.surrogate.parameters(self.module)

    @property
    def device(self) -> str:
        """Where they lie."""
        state = (value for part in (self.module.parameters(), self.module.buffers()) for value in part)
        return str(next(state).device)

    def predict(self, inputs: Mapping[str, np.ndarray], batch: int = 32) -> Arrays:
        """Predict the outputs of ``n`` samples; see `Predictor.predict`."""
        inputs = self._checked(inputs)
        parts = []
        with self._evaluated():
            for channels in self._blocks(inputs, batch):
                parts.append(self.normalisation.decode(self.module(channels)).cpu().numpy())
        return self.normalisation.unstack(np.concatenate(parts) if parts else _nothing(self.normalisation, inputs))

    def rollout(self, inputs: Mapping[str, np.ndarray], times: Sequence[float], batch: int = 32) -> Arrays:
        """Predict the outputs of ``n`` samples at any times; see `Surrogate.rollout`.

        Parameters
        ----------
        inputs, batch
            As for `predict`.
        times
            Rising, above zero.

        Returns
        -------
        dict
            ``(n, *dims)`` float32 for every output variable, ``time`` among them as long as ``times``.

        Raises
        ------
        ValueError
            As for `predict`, or if the surrogate does not step through time, or not to these times.
        """

        def answer(x: torch.Tensor) -> torch.Tensor:
            return self.surrogate.rollout(self.module, x, times)[None]

        found = self._stacked(inputs, batch, 1, answer, self.normalisation.at(times))
        return {name: values[0] for name, values in found.items()}

    def advance(
        self, inputs: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray], length: float, batch: int = 32
    ) -> Arrays:
        """Predict the outputs of ``n`` samples one step on; see `Surrogate.advance`.

        Parameters
        ----------
        inputs, batch
            As for `predict`.
        state
            ``(n, *dims)`` by output, without ``time``.
        length
            Of the step.

        Returns
        -------
        dict
            ``(n, *dims)`` float32 for every output variable, without ``time``.

        Raises
        ------
        ValueError
            As for `predict`, or if the surrogate does not step through time, or not by this length.
        """
        import torch

        inputs, one = self._checked(inputs), self.normalisation.at((length,))
        axes = {name: 1 + one.dimensions.variables[name].index(TIME) for name in state}
        channels = one.encode("output", {name: np.expand_dims(values, axes[name]) for name, values in state.items()})
        found, begin = [], 0
        with self._evaluated():
            for x in self._blocks(inputs, batch):
                now = torch.from_numpy(channels[begin : begin + batch]).to(x.device, copy=True)
                found.append(one.decode(self.surrogate.advance(self.module, x, now, length)).cpu().numpy())
                begin += batch
        after = one.unstack(np.concatenate(found))
        return {name: values.take(0, axes[name]) for name, values in after.items()}

    def sample(self, inputs: Mapping[str, np.ndarray], members: int, seed: int, batch: int = 32) -> Arrays:
        """Draw from the distribution of the outputs of ``n`` samples; see `Predictor.sample`."""
        generator = _generator(members, seed)
        return self._stacked(
            inputs, batch, members, lambda x: self.surrogate.sample(self.module, x, members, generator)
        )

    def sample_rollout(
        self, inputs: Mapping[str, np.ndarray], times: Sequence[float], members: int, seed: int, batch: int = 32
    ) -> Arrays:
        """Draw from the distribution of the outputs of ``n`` samples at any times; see `Surrogate.sample_rollout`.

        Parameters
        ----------
        inputs, times, batch
            As for `rollout`.
        members, seed
            As for `sample`.

        Returns
        -------
        dict
            ``(member, n, *dims)`` float32 for every output variable, ``time`` among them as long as ``times``.

        Raises
        ------
        ValueError
            As for `rollout`, or if the surrogate is deterministic.
        """
        generator = _generator(members, seed)

        def answer(x: torch.Tensor) -> torch.Tensor:
            return self.surrogate.sample_rollout(self.module, x, times, members, generator)

        return self._stacked(inputs, batch, members, answer, self.normalisation.at(times))

    def members(self, inputs: Mapping[str, np.ndarray], batch: int = 32) -> Arrays:
        """Predict what every member of an ensemble says; see `Predictor.members`."""
        count = self.surrogate.trainings
        return self._stacked(inputs, batch, count, lambda x: self.surrogate.members(self.module, x))

    def _stacked(
        self,
        inputs: Mapping[str, np.ndarray],
        batch: int,
        count: int,
        answers: Callable[[torch.Tensor], torch.Tensor],
        outputs: Normalisation | None = None,
    ) -> Arrays:
        """Return ``count`` outputs of every sample, ``(count, n, *dims)``, from a function of normalised channels.

        ``outputs`` names them, if they are not those of the training.
        """
        inputs, parts, normalisation = self._checked(inputs), [], outputs or self.normalisation
        with self._evaluated():
            for channels in self._blocks(inputs, batch):
                drawn = answers(channels)
                decoded = normalisation.decode(drawn.flatten(0, 1)).cpu().numpy()
                parts.append(decoded.reshape(count, -1, *decoded.shape[1:]))
        stacked = np.concatenate(parts, axis=1) if parts else np.stack([_nothing(normalisation, inputs)] * count)
        flat = normalisation.unstack(stacked.reshape(-1, *stacked.shape[2:]))
        return {name: values.reshape(count, -1, *values.shape[1:]) for name, values in flat.items()}

    def to_bytes(self) -> bytes:
        """Return the model as one safetensors blob; the same model gives the same bytes."""
        header = {
            "format": _FORMAT,
            "surrogate": self.surrogate.model_dump(mode="json"),
            "normalisation": self.normalisation.model_dump(mode="json"),
        }
        return pack(weights(self.module), header)

    @classmethod
    def from_bytes(cls, blob: bytes, surrogate: Surrogate | None = None) -> Model:
        """Read a model that `to_bytes` wrote.

        Parameters
        ----------
        blob
            The bytes.
        surrogate
            What learnt it, for a class that is not registered under ``ritz.surrogates``.

        Raises
        ------
        ValueError
            If the bytes hold no model, or one whose surrogate is not known here.
        """
        tensors, header = unpack(blob)
        if header.get("format") != _FORMAT:
            raise ValueError(f"the header has the format {header.get('format')!r}, expected {_FORMAT!r}")
        normalisation = Normalisation.model_validate(header["normalisation"])
        built = surrogate or known(header["surrogate"])
        return cls(built, normalisation, built.restored(normalisation, tensors).eval())

    def encoded(self, inputs: Mapping[str, np.ndarray], batch: int = 32) -> Iterator[torch.Tensor]:
        """Yield the normalised inputs ``(n, channel, *space)`` of ``batch`` samples at a time, where the module lies.

        Raises
        ------
        ValueError
            As for `predict`.
        """
        yield from self._blocks(self._checked(inputs), batch)

    @contextmanager
    def _evaluated(self) -> Iterator[None]:
        """Put the module into the mode of predictions for a while."""
        import torch

        was_training = self.module.training
        self.module.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.module.train(was_training)

    def _blocks(self, inputs: Mapping[str, np.ndarray], batch: int) -> Iterator[torch.Tensor]:
        """Yield the normalised inputs of some samples at a time, where the module lies."""
        import torch

        device = self.device
        for start in range(0, len(next(iter(inputs.values()))), batch):
            block = {name: values[start : start + batch] for name, values in inputs.items()}
            # Copied into memory that is aligned, on which rounding depends.
            yield torch.from_numpy(self.normalisation.encode("input", block)).to(device, copy=True)

    def _checked(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Return the input variables; refuse missing ones, wrong dimensions and fields that do not share one grid."""
        expected = self.normalisation.inputs
        inputs = {v.name: inputs[v.name] for v in expected if v.name in inputs}
        missing = [v.name for v in expected if v.name not in inputs]
        if missing:
            raise ValueError(f"input variables {missing} are missing, expected {[v.name for v in expected]}")
        self.normalisation.dimensions.grid(inputs)
        for name, values in inputs.items():
            if not np.all(np.isfinite(values)):
                bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
                raise ValueError(f"input {name!r} holds values that are not finite, in samples {bad[:5].tolist()}")
        return inputs


def _generator(members: int, seed: int) -> torch.Generator:
    """Return the source of random numbers of some draws; refuse to draw none."""
    import torch

    if members < 1:
        raise ValueError(f"members is {members}, expected at least 1")
    return torch.Generator().manual_seed(seed)


def _nothing(normalisation: Normalisation, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the channels of the outputs of no samples."""
    channels = normalisation.channels("output")[-1].stop
    return np.empty((0, channels, *normalisation.dimensions.grid(inputs)), np.float32)


def known(recipe: Mapping[str, object]) -> Surrogate:
    """Return the surrogate that a recipe names, among those that are shipped or registered.

    Raises
    ------
    ValueError
        If the kind is not known or its fields are not valid.
    """
    from pydantic import TypeAdapter

    from ritz.compute.surrogates.catalogue import AnySurrogate

    surrogate: Surrogate = TypeAdapter(AnySurrogate).validate_python(dict(recipe))
    return surrogate
