"""The catalogue for programs, held against the schemas of STAC by PySTAC, which need no network."""

from __future__ import annotations

import socket
from pathlib import Path

import icechunk
import pystac
import pytest
import xarray as xr

from tests.tasks.catalogue.conftest import HOSTILE


@pytest.fixture
def catalog(site: Path, monkeypatch: pytest.MonkeyPatch) -> pystac.Catalog:
    def no_network(*_: object) -> None:
        raise AssertionError("a schema was asked for in the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    return pystac.Catalog.from_file(str(site / "catalog.json"))


def test_the_catalogue_and_its_collections_are_valid(catalog: pystac.Catalog) -> None:
    assert catalog.validate()
    collections = list(catalog.get_children())
    assert [one.id for one in collections] == ["theirs", "tiny"]
    for one in collections:
        assert one.validate()
        assert one.get_root() is catalog


def test_a_collection_says_what_lies_where(catalog: pystac.Catalog) -> None:
    theirs, tiny = sorted(catalog.get_children(), key=lambda one: one.id)
    assert isinstance(theirs, pystac.Collection)
    assert isinstance(tiny, pystac.Collection)
    fields = tiny.extra_fields
    assert fields["ritz:variables"]["u"]["dimensions"] == {"sample": 160, "y": 16, "x": 16}
    assert fields["ritz:variables"]["u"]["chunks"] == [1, 16, 16]
    assert 0 < fields["ritz:max_residual"] < fields["ritz:rtol"] == 1e-8
    assert fields["ritz:versions"][0]["splits"] == {"train": 96, "validate": 16, "calibrate": 24, "test": 24}
    assert (theirs.license, theirs.extra_fields["ritz:licence"]) == ("other", HOSTILE)
    assert theirs.extra_fields["ritz:max_residual"] is None
    [via] = theirs.get_links("via")
    assert via.href == "https://data.example/darcy"


def test_an_asset_is_opened_by_what_the_collection_says(catalog: pystac.Catalog) -> None:
    tiny = next(one for one in catalog.get_children() if one.id == "tiny")
    assert isinstance(tiny, pystac.Collection)
    asset = tiny.assets["data"]
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(asset.href.removeprefix("file://")))
    session = repository.readonly_session(tag=asset.extra_fields["ritz:tag"])
    assert session.snapshot_id == asset.extra_fields["ritz:snapshot"]
    data = xr.open_zarr(session.store, **asset.extra_fields["xarray:open_kwargs"])
    assert data["u"].shape == (160, 16, 16)
