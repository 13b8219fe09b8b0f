from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def weights(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return the tensors of a module's state by name, without what else a library keeps there."""
    import torch

    with warnings.catch_warnings():
        # Of neuraloperator's models two in one module warn that the second has no place for its metadata.
        warnings.filterwarnings("ignore", "Attempting to update metadata", UserWarning)
        state = module.state_dict()
    return {name: value.detach().cpu().numpy() for name, value in state.items() if torch.is_tensor(value)}


def load_weights(module: torch.nn.Module, tensors: Mapping[str, np.ndarray]) -> None:
    """Set the state of a module to ``tensors``, all of them and no others.

    Raises
    ------
    ValueError
        If names or shapes are not those of the module.
    """
    import torch

    expected = {name: value.shape for name, value in weights(module).items()}
    got = {name: value.shape for name, value in tensors.items()}
    if expected != got:
        differing = sorted(name for name in expected | got if expected.get(name) != got.get(name))
        raise ValueError(f"tensors {differing[:5]} do not fit the network that the configuration builds")
    module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in tensors.items()})
