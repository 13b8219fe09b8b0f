"""A layout in words, the same for the same layout: a change of structure shows in a diff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ritz.storage.layout import CODECS, Layout, Variable

_OF_A_RECIPE = ("identity", "recipe", "ritz_version", "layout_version")
"""Attributes that identify the dataset, not its layout."""


def describe(layout: Layout) -> str:
    """Return every array with its dimensions, type, chunks, codecs and attributes; nothing of the samples' values."""
    shown = {name: value for name, value in layout.attrs.items() if name not in _OF_A_RECIPE}
    parts = [f"layout {layout.attrs['layout_version']}", "\n".join(["attributes", *_attributes(shown)])]
    for name, coordinate in sorted(layout.coordinates.variables.items(), key=str):
        sizes = " ".join(f"{dim}={size}" for dim, size in coordinate.sizes.items())
        values = coordinate.values.ravel()
        lines = [f"coordinate {name}({sizes}) {coordinate.dtype}"]
        lines += [f"  values: {values[0]:.6g} … {values[-1]:.6g}"] if len(values) else []
        parts.append("\n".join([*lines, *_attributes(coordinate.attrs)]))
    parts += [_variable(name, variable) for name, variable in sorted(layout.variables.items())]
    return "\n\n".join(parts) + "\n"


def _variable(name: str, variable: Variable) -> str:
    dims = [dim if dim == "sample" else f"{dim}={n}" for dim, n in zip(variable.dims, variable.shape, strict=True)]
    codecs = ", ".join(_codec(codec.to_dict()) for codec in CODECS)
    lines = [f"variable {name}({' '.join(dims)}) {variable.dtype}, fill {variable.fill}"]
    lines += [f"  chunk: {_product(variable.chunks)}, {codecs}"]
    lines += [f"  shard: {_product(variable.shards)}"] if variable.shards else []
    return "\n".join([*lines, *_attributes(variable.attrs)])


def _attributes(attrs: Mapping[Any, Any]) -> list[str]:
    return [
        f"  {name}: {' '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
        for name, value in sorted(attrs.items())
    ]


def _codec(fields: Mapping[str, Any]) -> str:
    # Zarr fills these in for each array.
    settings = {k: v for k, v in fields.get("configuration", {}).items() if k not in ("typesize", "blocksize")}
    return " ".join([str(fields["name"]), *(f"{k}={v}" for k, v in sorted(settings.items()))])


def _product(numbers: Iterable[int]) -> str:
    return " × ".join(map(str, numbers))
