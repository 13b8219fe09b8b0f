from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ritz.compute.cluster.cluster import Cluster
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.profile import Role

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    with Local(solve=Role(count=2), train=Role(count=1)).open() as opened:
        yield opened


def example(containing: str) -> str:
    """The Python example of the README that contains a text."""
    blocks = [block.partition("```")[0] for block in README.read_text(encoding="utf-8").split("```python\n")[1:]]
    (found,) = (block for block in blocks if containing in block)
    return found
