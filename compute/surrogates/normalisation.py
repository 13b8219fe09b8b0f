from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from ritz.compute.fields.dimensions import Dimensions
from ritz.compute.kind import Kind

if TYPE_CHECKING:
    import torch
    import xarray as xr

Arrays = dict[str, np.ndarray]

Role = Literal["input", "output"]


class Variable(Kind):
    """A variable of a dataset as a surrogate sees it: ``(transform(value) − mean) / scale``."""

    name: str
    role: Role
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

    The variables keep the order of the template. A variable makes a channel, or as many as it has values at a point
    of space (`Dimensions`); one that lacks dimensions of space is repeated along them.
    """

    variables: tuple[Variable, ...]
    dimensions: Dimensions
    """Of the variables, with the grid the normalisation was fitted on."""

    @field_validator("dimensions")
    @classmethod
    def _in_order(cls, dimensions: Dimensions, info: ValidationInfo) -> Dimensions:
        """Put the dimensions into the order of the variables: a file has their names sorted, channels are not."""
        return dimensions.ordered([one.name for one in info.data.get("variables", ())])

    @classmethod
    def fit(cls, template: xr.Dataset, fields: Mapping[str, np.ndarray]) -> Normalisation:
        """Take mean and standard deviation of every transformed variable over all samples and points.

        Outputs are scaled but not shifted: a zero stays a zero, as on a wall where the value is given.

        Parameters
        ----------
        template
            Names variables with the attributes ``role`` and ``transform``; see `Problem.template`.
        fields
            ``(n, *dims)`` each, finite.

        Raises
        ------
        ValueError
            If a variable is missing, not finite, not positive under a log, or has dimensions that do not fit.
        """
        dimensions = Dimensions.of(template)
        variables = []
        for name in dimensions.variables:
            attrs = template[name].attrs
            about = {key: attrs[key] for key in ("transform", "units", "long_name") if key in attrs}
            plain = Variable(name=name, role=attrs["role"], **about)
            values = plain.encode(_present(fields, plain.name)).astype(np.float64)
            if not np.all(np.isfinite(values)):
                raise ValueError(f"variable {name!r} holds values that are not finite; leave out failed samples")
            mean = values.mean() if plain.role == "input" else 0.0
            scale = np.sqrt(np.mean((values - mean) ** 2))
            variables.append(plain.model_copy(update={"mean": float(mean), "scale": float(scale or 1.0)}))
        dimensions.grid({name: fields[name] for name in dimensions.variables})
        return cls(variables=tuple(variables), dimensions=dimensions)

    @property
    def axes(self) -> int:
        """Number of space axes of a field."""
        return len(self.dimensions.space)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """The variables a surrogate is given."""
        return tuple(v for v in self.variables if v.role == "input")

    @property
    def outputs(self) -> tuple[Variable, ...]:
        """The variables a surrogate predicts."""
        return tuple(v for v in self.variables if v.role == "output")

    def channels(self, role: Role) -> tuple[slice, ...]:
        """Return which channels each variable of a role makes."""
        counts = [self.dimensions.channels(v.name) for v in self._of(role)]
        return tuple(slice(stop - count, stop) for stop, count in zip(accumulate(counts), counts, strict=True))

    def at(self, times: Sequence[float]) -> Normalisation:
        """Return the normalisation of outputs at other times; see `Dimensions.at`."""
        return self.model_copy(update={"dimensions": self.dimensions.at(times)})

    def encode(self, role: Role, fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the channels of one role, ``(n, channel, *space)`` float32."""
        parts, grid = self._parts(role, fields)
        return np.concatenate([np.broadcast_to(part, (*part.shape[:2], *grid)) for part in parts], axis=1)

    def rows(self, role: Role, fields: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return one row of numbers per sample with the distances of what `encode` returns, ``(n, numbers)`` float64.

        What is repeated along an axis of space is there once, times the root of how often.
        """
        parts, grid = self._parts(role, fields)
        weights = [float(np.sqrt(np.prod(grid) / np.prod(part.shape[2:]))) for part in parts]
        flat = [part.reshape(len(part), -1).astype(np.float64) for part in parts]
        return np.concatenate([weight * rows for weight, rows in zip(weights, flat, strict=True)], axis=1)

    def decode(self, channels: torch.Tensor) -> torch.Tensor:
        """Return the outputs in physical units, in the shape of ``channels`` ``(n, channel, *space)``."""
        import torch

        parts = [v.decode(channels[:, part]) for v, part in zip(self.outputs, self.channels("output"), strict=True)]
        return torch.cat(parts, dim=1)

    def unstack(self, channels: np.ndarray) -> Arrays:
        """Return the outputs by name, ``(n, *dims)`` each, from their channels ``(n, channel, *space)``."""
        found = zip(self.outputs, self.channels("output"), strict=True)
        return {v.name: np.ascontiguousarray(self.dimensions.unstack(v.name, channels[:, part])) for v, part in found}

    def _of(self, role: Role) -> tuple[Variable, ...]:
        return self.inputs if role == "input" else self.outputs

    def _parts(self, role: Role, fields: Mapping[str, np.ndarray]) -> tuple[list[np.ndarray], tuple[int, ...]]:
        """Return the encoded variables ``(n, channel, *space)``, one point along what they lack, and their grid."""
        found = {v.name: _present(fields, v.name) for v in self._of(role)}
        grid = self.dimensions.grid(found)
        return [self.dimensions.stack(v.name, v.encode(found[v.name])) for v in self._of(role)], grid


def _present(fields: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return one field, or name the variables there are."""
    if name not in fields:
        raise ValueError(f"variable {name!r} is missing, got {sorted(fields)}")
    return fields[name]
