from __future__ import annotations

from collections.abc import Sequence

from ritz.tasks.bridging.bridge import Bridge


def rows(bridge: Bridge) -> list[dict[str, str]]:
    """Return what is served as a table, a model per row."""
    return [
        {
            "model": one.name,
            "takes": _vectors(one.inputs, one.input_sizes),
            "returns": ", ".join(one.outputs)
            if len(one.outputs) != len(one.output_sizes)
            else _vectors(one.outputs, one.output_sizes),
        }
        for one in bridge.models
    ]


def _vectors(names: Sequence[str], sizes: Sequence[int]) -> str:
    return ", ".join(f"{name} [{size}]" for name, size in zip(names, sizes, strict=True))
