from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from compute.kind import Kind

if TYPE_CHECKING:
    import torch


class Surrogate(Kind, ABC):
    """A family of networks that map input fields to output fields.

    A subclass has a field ``kind: Literal[...]``. It imports torch inside its methods, so that a process which
    only reads a configuration does not load it.
    """

    kind: str

    @abstractmethod
    def build(self, inputs: int, outputs: int, axes: int = 2) -> torch.nn.Module:
        """Return an untrained network, its weights drawn from torch's global generator.

        Parameters
        ----------
        inputs, outputs
            Number of channels, one a variable.
        axes
            Number of space (and time) axes of a field.

        Returns
        -------
        torch.nn.Module
            Maps float32 ``(batch, inputs, *space)`` to ``(batch, outputs, *space)``. It works on any grid
            unless the class says otherwise, and every parameter has a part in the output.
        """
