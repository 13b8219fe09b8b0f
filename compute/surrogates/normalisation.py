from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from compute.kind import Kind

if TYPE_CHECKING:
    import torch
    import xarray as xr

Arrays = dict[str, np.ndarray]


class Variable(Kind):
    """A variable of a dataset as a surrogate sees it: ``(transform(value) − mean) / scale``."""

    name: str
    role: Literal["input", "output"]
    transform: Literal["identity", "log"] = "identity"
    units: str = "1"
    long_name: str = ""
    mean: float = 0.0
    scale: float = Field(default=1.0, gt=0)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return the normalised values, float32, in the shape of ``values``."""
        if self.transform == "log":
            if not np.all(values > 0):
                raise ValueError(
                    f"variable {self.name!r} has the smallest value {np.min(values):.6g}, expected positive "
                    "values: its transform is log"
                )
            values = np.log(values)
        return ((values - self.mean) / self.scale).astype(np.float32)

    def decode(self, values: torch.Tensor) -> torch.Tensor:
        """Undo `encode` on a tensor."""
        values = values * self.scale + self.mean
        return values.exp() if self.transform == "log" else values


class Normalisation(Kind):
    """How physical fields become channels of about unit size and back; frozen once it is fitted.

    A channel is a variable; the variables keep the order of the template. All have the same axes after the
    sample.
    """

    variables: tuple[Variable, ...]
    axes: int = Field(ge=1, le=4)
    """Number of axes of a field after the sample."""

    @classmethod
    def fit(cls, template: xr.Dataset, fields: Mapping[str, np.ndarray]) -> Normalisation:
        """Take mean and standard deviation of every transformed variable over all samples and points.

        Outputs are scaled but not shifted: a zero stays a zero, as on a wall where the value is given.

        Parameters
        ----------
        template
            Names variables with the attributes ``role`` and ``transform``; see `Problem.template`.
        fields
            ``(n, *space)`` each, finite.

        Raises
        ------
        ValueError
            If a variable is missing, not finite, not positive under a log, or has other axes than the rest.
        """
        variables = []
        found = {name: template[name] for name in template.data_vars if "role" in template[name].attrs}
        axes = {array.ndim - 1 for array in found.values()}
        if len(axes) != 1:
            dims = {name: array.dims for name, array in found.items()}
            raise ValueError(f"variables have the dims {dims}, expected the same dims for all of them")
        for name, array in found.items():
            about = {key: array.attrs[key] for key in ("transform", "units", "long_name") if key in array.attrs}
            plain = Variable(name=str(name), role=array.attrs["role"], **about)
            values = plain.encode(_present(fields, plain.name)).astype(np.float64)
            if not np.all(np.isfinite(values)):
                raise ValueError(f"variable {name!r} holds values that are not finite; leave out failed samples")
            mean = values.mean() if plain.role == "input" else 0.0
            scale = np.sqrt(np.mean((values - mean) ** 2))
            variables.append(plain.model_copy(update={"mean": float(mean), "scale": float(scale or 1.0)}))
        return cls(variables=tuple(variables), axes=axes.pop())

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """The variables a surrogate is given."""
        return tuple(v for v in self.variables if v.role == "input")

    @property
    def outputs(self) -> tuple[Variable, ...]:
        """The variables a surrogate predicts."""
        return tuple(v for v in self.variables if v.role == "output")

    def encode(self, role: Literal["input", "output"], fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the channels of one role, ``(n, channel, *space)`` float32."""
        variables = self.inputs if role == "input" else self.outputs
        return np.stack([v.encode(_present(fields, v.name)) for v in variables], axis=1)

    def decode(self, channels: torch.Tensor) -> torch.Tensor:
        """Return the outputs in physical units, in the shape of ``channels`` ``(n, channel, *space)``."""
        import torch

        return torch.stack([v.decode(channels[:, i]) for i, v in enumerate(self.outputs)], dim=1)


def _present(fields: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return one field, or name the variables there are."""
    if name not in fields:
        raise ValueError(f"variable {name!r} is missing, got {sorted(fields)}")
    return fields[name]
