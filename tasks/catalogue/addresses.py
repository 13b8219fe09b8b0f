"""Where the pages of a catalogue lie, relative to its folder."""

from __future__ import annotations

INDEX = "index.html"


def dataset_page(name: str) -> str:
    """Return the page of a dataset."""
    return f"datasets/{name}/{INDEX}"


def collection(name: str) -> str:
    """Return the STAC collection of a dataset."""
    return f"datasets/{name}/collection.json"


def model_page(name: str, version: str) -> str:
    """Return the page of a version of a model."""
    return f"models/{name}/{version}/{INDEX}"


def up(page: str) -> str:
    """Return the way from a page to the folder of the catalogue.

    Examples
    --------
    >>> up("datasets/darcy/index.html"), up("index.html")
    ('../../', '')
    """
    return "../" * page.count("/")
