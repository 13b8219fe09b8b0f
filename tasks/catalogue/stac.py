"""The catalogue for programs: SpatioTemporal Asset Catalog (STAC) 1.1.0, a collection per dataset."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ritz.storage.documents import Json as Document
from ritz.tasks.catalogue.addresses import INDEX, collection, dataset_page, up
from ritz.tasks.catalogue.contents import CataloguedDataset, Contents
from ritz.tasks.catalogue.dataset_page import facts_line
from ritz.tasks.catalogue.page import is_url

VERSION = "1.1.0"

ICECHUNK = "application/vnd.zarr; version=3"
"""Media type of a dataset: Icechunk keeps Zarr version 3."""

_LICENCE = re.compile(r"[\w\-.+]+")
"""What the schema takes for a licence; "other" stands for everything else."""

_EARTH = [[-180, -90, 180, 90]]
"""A collection must say where on Earth it lies. These data lie nowhere there; ``ritz:dimensions`` has their own."""


def catalog(contents: Contents, title: str) -> bytes:
    """Return ``catalog.json``, which links to the collections."""
    children = [
        {"rel": "child", "href": f"./{collection(one.name)}", "type": "application/json", "title": one.name}
        for one in contents.datasets
    ]
    return _json(
        {
            "type": "Catalog",
            "stac_version": VERSION,
            "id": "ritz",
            "title": title,
            "description": f"Datasets of {contents.store.url}, kept by Ritz.",
            "links": [
                {"rel": "root", "href": "./catalog.json", "type": "application/json"},
                {"rel": "alternate", "href": f"./{INDEX}", "type": "text/html", "title": title},
                *children,
            ],
        }
    )


def of_dataset(dataset: CataloguedDataset) -> bytes:
    """Return the collection of a dataset: one asset, all of it, without items."""
    root, newest, imprint = up(collection(dataset.name)), dataset.newest, dataset.imprint
    plain = _LICENCE.fullmatch(imprint.licence) is not None
    created = [version.created for version in dataset.versions]
    document: Document = {
        "type": "Collection",
        "stac_version": VERSION,
        "id": dataset.name,
        "title": f"{dataset.name}@{newest.version}",
        "description": " ".join(filter(None, (imprint.description, facts_line(dataset)))),
        "keywords": sorted({dataset.problem, "icechunk", "PDE", "simulation", "zarr"}),
        "license": imprint.licence if plain else "other",
        "extent": {
            "spatial": {"bbox": _EARTH},
            "temporal": {"interval": [[_time(min(created)), _time(max(created))]]},
        },
        "links": [
            {"rel": "root", "href": f"{root}catalog.json", "type": "application/json"},
            {"rel": "parent", "href": f"{root}catalog.json", "type": "application/json"},
            {"rel": "alternate", "href": f"./{INDEX}", "type": "text/html", "title": dataset_page(dataset.name)},
        ],
        "assets": {
            "data": {
                "href": address(dataset.location),
                "type": ICECHUNK,
                "roles": ["data"],
                "title": f"Icechunk repository; version {newest.version} is the tag {newest.version!r}",
                "xarray:open_kwargs": {"consolidated": False, "chunks": None},
                "ritz:tag": newest.version,
                "ritz:snapshot": newest.snapshot,
            }
        },
        "ritz:versions": [
            {"version": one.version, "snapshot": one.snapshot, "samples": one.samples, "splits": dict(one.splits)}
            for one in dataset.versions
        ],
        "ritz:variables": {
            one.name: {
                "role": one.role,
                "dimensions": dict(zip(one.dims, one.shape, strict=False)),
                "dtype": one.dtype,
                "unit": one.units,
                "description": one.long_name,
                "chunks": one.chunk,
                "shards": one.shard,
            }
            for one in dataset.variables
        },
        "ritz:max_residual": dataset.ledger["max_residual"],
        "ritz:rtol": dataset.rtol,
        "ritz:seconds_per_sample": dataset.seconds_per_sample,
        "ritz:identity": dataset.shown.identity,
        "ritz:problem": dataset.shown.recipe["problem"],
    }
    if imprint.licence and not plain:
        document["ritz:licence"] = imprint.licence
    if imprint.citation:
        document["ritz:citation"] = imprint.citation
    if is_url(imprint.url):
        document["links"].append({"rel": "via", "href": imprint.url})
    if imprint.contact:
        document["providers"] = [{"name": imprint.contact, "roles": ["producer", "licensor"]}]
    return _json(document)


def address(location: str) -> str:
    """Return a path or URL as a URL.

    Examples
    --------
    >>> address("s3://bucket/ritz/datasets/darcy"), address("/my data/datasets/darcy")
    ('s3://bucket/ritz/datasets/darcy', 'file:///my%20data/datasets/darcy')
    """
    return location if "://" in location else Path(location).as_uri()


def _time(created: str) -> str:
    """Return a time in UTC as the schema wants it, ``2026-01-01T00:00:00Z``."""
    return created.replace("+00:00", "Z")


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
