from __future__ import annotations

from typing import Annotated

from pydantic import TypeAdapter

from ritz.compute.kind import OneOf
from ritz.compute.uncertainty.novelty.extremes import Extremes
from ritz.compute.uncertainty.novelty.novelty import Novelty
from ritz.compute.uncertainty.novelty.ranks import Ranks

AnyNovelty = Annotated[Novelty, OneOf(Novelty, lambda: (Ranks, Extremes))]
"""Field type: what a release kept beside a model."""

USUAL = Ranks
"""The rule of models that are saved now."""


def novelty(blob: bytes) -> Novelty:
    """Read what `Novelty.to_bytes` of any rule wrote.

    Raises
    ------
    ValueError
        It is nothing of the sort, or no rule has its name.
    """
    adapter: TypeAdapter[Novelty] = TypeAdapter(AnyNovelty)
    return adapter.validate_json(blob)
