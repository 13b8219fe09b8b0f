from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ritz.compute.fields.tensors import pack, unpack
from ritz.compute.surrogates.normalisation import Arrays, Normalisation, Variable
from ritz.compute.surrogates.surrogate import Grid, Surrogate

if TYPE_CHECKING:
    import torch

_FORMAT = "ritz-model/1"


@dataclass(frozen=True)
class Model:
    """A trained surrogate: configuration, normalisation and network, in and out in physical units.

    Attributes
    ----------
    surrogate
        What built the network.
    normalisation
        Frozen when training began; names the variables.
    module
        The trained network.
    """

    surrogate: Surrogate
    normalisation: Normalisation
    module: torch.nn.Module

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Inputs and outputs with transform, units and scale."""
        return self.normalisation.variables

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
        import torch

        inputs = {v.name: inputs[v.name] for v in self.normalisation.inputs if v.name in inputs}
        self._check(inputs)
        n = len(next(iter(inputs.values())))
        device = next(self.module.parameters()).device
        was_training = self.module.training
        self.module.eval()
        parts = []
        with torch.no_grad():
            for start in range(0, n, batch):
                block = {name: values[start : start + batch] for name, values in inputs.items()}
                # Copied into memory that is aligned, on which rounding depends.
                channels = torch.from_numpy(self.normalisation.encode("input", block)).to(device, copy=True)
                parts.append(self.normalisation.decode(self.module(channels)).cpu().numpy())
        self.module.train(was_training)
        return self.normalisation.unstack(np.concatenate(parts) if parts else self._nothing(inputs))

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
            What built the network, for a class that is not registered under ``ritz.surrogates``.

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
        module = network(built, normalisation)
        load_weights(module, tensors)
        return cls(built, normalisation, module.eval())

    def _check(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Refuse missing variables, wrong dimensions and fields that do not share one grid."""
        expected = self.normalisation.inputs
        missing = [v.name for v in expected if v.name not in inputs]
        if missing:
            raise ValueError(f"input variables {missing} are missing, expected {[v.name for v in expected]}")
        self.normalisation.dimensions.grid(inputs)
        for name, values in inputs.items():
            if not np.all(np.isfinite(values)):
                bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
                raise ValueError(f"input {name!r} holds values that are not finite, in samples {bad[:5].tolist()}")

    def _nothing(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the channels of the outputs of no samples."""
        channels = self.normalisation.channels("output")[-1].stop
        return np.empty((0, channels, *self.normalisation.dimensions.grid(inputs)), np.float32)


def network(surrogate: Surrogate, normalisation: Normalisation) -> torch.nn.Module:
    """Return the untrained network for the variables of ``normalisation`` and the grid it was fitted on."""
    inputs, outputs = (normalisation.channels(role)[-1].stop for role in ("input", "output"))
    return surrogate.build_on(inputs, outputs, Grid.of(normalisation.dimensions))


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


def weights(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return the tensors of a network's state by name, without what else a library keeps there."""
    import torch

    return {name: value.detach().cpu().numpy() for name, value in module.state_dict().items() if torch.is_tensor(value)}


def load_weights(module: torch.nn.Module, tensors: Mapping[str, np.ndarray]) -> None:
    """Set the state of a network to ``tensors``, all of them and no others.

    Raises
    ------
    ValueError
        If names or shapes are not those of the network.
    """
    import torch

    expected = {name: value.shape for name, value in weights(module).items()}
    got = {name: value.shape for name, value in tensors.items()}
    if expected != got:
        differing = sorted(name for name in expected | got if expected.get(name) != got.get(name))
        raise ValueError(f"tensors {differing[:5]} do not fit the network that the configuration builds")
    module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in tensors.items()})
