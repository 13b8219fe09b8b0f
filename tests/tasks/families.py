"""Small data sets of every form that a problem family may have, with maps that are easy to learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ritz.compute.surrogates.coordinate.fully_connected import FullyConnected
from ritz.compute.surrogates.spectral.fno import FNO
from ritz.compute.surrogates.surrogate import Surrogate

SAMPLES = 60

_INPUT = {"role": "input", "transform": "identity", "units": "1"}
_OUTPUT = {"role": "output", "transform": "identity", "units": "1"}


@dataclass(frozen=True)
class Family:
    """A data set, what is trained on it, and what of every output the report says it shows."""

    data: xr.Dataset
    surrogate: Surrogate
    shown: tuple[str, ...] = ("",)
    fixed: str = ""
    """A dimension along which the model works for one number of points alone."""

    def template(self) -> xr.Dataset:
        nothing = {name: field.copy(data=np.full_like(field, np.nan)) for name, field in self.data.data_vars.items()}
        return self.data.assign(nothing)


def _axis(name: str, points: int, length: float = 1.0) -> tuple[str, np.ndarray, dict[str, str]]:
    return name, length * (np.arange(points) + 0.5) / points, {"units": "m", "axis": name.upper()}


def _part(where: str) -> str:
    return f" Shown {where}; errors are of the whole field."


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((SAMPLES, *shape))


def _dataset(fields: dict[str, Any], coords: dict[str, Any], symmetries: str = "none") -> xr.Dataset:
    rounded = {name: (dims, values.astype(np.float32), attrs) for name, (dims, values, attrs) in fields.items()}
    return xr.Dataset(rounded, coords=coords, attrs={"symmetries": symmetries})


def line() -> Family:
    """One dimension and time: waves that decay faster the larger a number of the sample is."""
    x = _axis("x", 16, 2.0)
    nu = np.exp(0.3 * _numbers())
    u0 = _numbers(2) @ np.array([np.cos(np.pi * x[1]), np.sin(np.pi * x[1])])
    times = np.array([0.1, 0.2, 0.4])
    u = np.exp(-nu[:, None] * times)[:, :, None] * u0[:, None]
    fields = {
        "nu": (("sample",), nu, _INPUT | {"transform": "log", "units": "m2 s-1", "long_name": "viscosity"}),
        "u0": (("sample", "x"), u0, _INPUT | {"units": "m s-1"}),
        "u": (("sample", "time", "x"), u, _OUTPUT | {"units": "m s-1", "long_name": "velocity"}),
    }
    time = ("time", times, {"units": "s", "axis": "T"})
    surrogate = FNO(modes=4, width=12, layers=2)
    shown = ("",)
    return Family(_dataset(fields, {"x": x, "time": time}), surrogate, shown, fixed="time")


def plane() -> Family:
    """Two dimensions: a field, a number and values along a wall go in, a number a point and a vector come out."""
    y, x = _axis("y", 8), _axis("x", 12, 3.0)
    modes = _numbers(5)
    a = np.exp(modes[:, 0, None, None] * np.cos(np.pi * y[1])[:, None] * np.cos(np.pi * x[1] / 3))
    west = modes[:, 1:3] @ np.array([np.ones(8), np.cos(np.pi * y[1])])
    q = modes[:, 3]
    u = 2 + np.log(a) + west[:, :, None] * (1 - x[1] / 3) + q[:, None, None]
    v = np.stack([u, 1 + np.log(a)], axis=-1)
    fields = {
        "a": (("sample", "y", "x"), a, _INPUT | {"transform": "log", "long_name": "permeability"}),
        "west": (("sample", "y"), west, _INPUT | {"units": "Pa"}),
        "q": (("sample",), q, _INPUT | {"units": "m s-1"}),
        "u": (("sample", "y", "x"), u, _OUTPUT | {"units": "Pa", "long_name": "pressure"}),
        "v": (("sample", "y", "x", "component"), v, _OUTPUT | {"units": "m s-1"}),
    }
    shown = ("", _part("at component = entry 1"))
    return Family(_dataset(fields, {"y": y, "x": x}), FNO(modes=4, width=12, layers=2), shown, fixed="component")


def box() -> Family:
    """Three dimensions, where all axes may be exchanged."""
    axes = {name: _axis(name, 4) for name in ("z", "y", "x")}
    cosine, flat = np.cos(np.pi * axes["z"][1]), np.ones(4)
    waves = [np.einsum("i,j,k", *(cosine if axis == along else flat for axis in range(3))) for along in range(3)]
    logs = np.einsum("nk,kzyx", _numbers(3), np.array(waves))
    dims = ("sample", "z", "y", "x")
    fields = {
        "a": (dims, np.exp(logs), _INPUT | {"transform": "log"}),
        "u": (dims, 1 + 0.5 * logs, _OUTPUT | {"units": "Pa"}),
    }
    return Family(_dataset(fields, axes, "square"), FNO(modes=4, width=8, layers=2), (_part("at z = 0.625 m"),))


def mesh() -> Family:
    """Nodes of a mesh in no order; the inputs are numbers."""
    rng = np.random.default_rng(2)
    lattice = np.stack(np.meshgrid(np.linspace(0, 2, 7), np.linspace(0, 1, 5), indexing="ij"), axis=-1).reshape(-1, 2)
    corners = np.array([[5 * i + j, 5 * (i + 1) + j, 5 * i + j + 1] for i in range(6) for j in range(4)])
    order = rng.permutation(35)
    points, triangles = lattice[order], np.argsort(order)[corners]
    modes = _numbers(3)
    values = 3 + modes @ np.cos(np.pi * np.outer(np.arange(1, 4), points[:, 0] / 2))
    fields = {
        "heat": (("sample", "mode"), modes, _INPUT | {"units": "W"}),
        "T": (("sample", "node"), values, _OUTPUT | {"units": "K", "long_name": "temperature"}),
    }
    coords = {
        "x": ("node", points[:, 0], {"units": "m"}),
        "y": ("node", points[:, 1], {"units": "m"}),
        "triangle": (("face", "corner"), triangles.astype(np.int32)),
    }
    return Family(_dataset(fields, coords), FullyConnected(width=24, layers=1), fixed="node")


FAMILIES = {"line": line, "plane": plane, "box": box, "mesh": mesh}
