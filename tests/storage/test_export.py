from __future__ import annotations

import json
import shutil
import subprocess
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorstore
import xarray as xr
import zarr
from zarr.buffer import default_buffer_prototype

from ritz.storage.backends.lock import locked
from ritz.storage.committer import Committer
from ritz.storage.errors import StorageError, Unknown
from ritz.storage.export import export
from ritz.storage.shards import write_shard
from ritz.storage.store import Store
from tests.storage.fields import (
    RTOL,
    SHARD,
    SHARDS,
    N,
    definition,
    fields,
    fill,
    fill_with_failures,
    ledger,
    with_a_flipped_byte,
)

ZARRITA = "0.7.5"

FAILED = {0: 3, 2: 1}
"""The sample of a shard that failed."""

OK = np.setdiff1d(np.arange(N), [shard * SHARD + row for shard, row in FAILED.items()])


@pytest.fixture
def store(tmp_path):
    """A store with a published dataset in which two samples failed."""
    made = Store(tmp_path / "store")
    dataset = Committer.ensure(made, "made", **definition())
    fill_with_failures(dataset, FAILED)
    dataset.publish("all")
    return made


def stored(store: Store, spec: str = "made@v1") -> dict[str, np.ndarray]:
    """Every array of a version as Zarr reads it from the dataset itself."""
    name, _, version = spec.partition("@")
    group = Committer.open(store, name).at(version).group()
    return {name: np.asarray(array[...]) for name, array in group.arrays()}


@pytest.fixture(scope="session")
def zarrita(request: pytest.FixtureRequest) -> Path:
    """A folder in which node finds zarrita."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("zarrita needs node and npm, which are not installed")
    folder = request.config.cache.mkdir(f"zarrita-{ZARRITA}")
    with locked(str(folder / "lock"), "zarrita", wait=120):
        if not (folder / "node_modules" / ".package-lock.json").exists():
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", f"zarrita@{ZARRITA}"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("only_ok", [False, True])
def test_tensorstore_reads_every_value(store, tmp_path, only_ok):
    export(store, "made@v1", tmp_path / "out", "zarr", only_ok)
    for name, values in stored(store).items():
        kvstore = {"driver": "file", "path": str(tmp_path / "out" / name)}
        array = tensorstore.open({"driver": "zarr3", "kvstore": kvstore}, open=True).result()
        expected = values[OK] if only_ok and len(values) == N else values
        read = array.read().result()
        assert read.dtype == expected.dtype
        np.testing.assert_array_equal(read, expected)
        if name in ("a", "u"):
            assert array.domain.labels == ("sample", "y", "x")
            assert array.chunk_layout.read_chunk.shape == (1, 8, 8)
            assert array.chunk_layout.write_chunk.shape == (SHARD, 8, 8)


@pytest.mark.parametrize("only_ok", [False, True])
def test_zarrita_reads_every_value(store, tmp_path, zarrita, only_ok):
    export(store, "made@v1", tmp_path / "out", "zarr", only_ok)
    expected = stored(store)
    (tmp_path / "read").mkdir()
    program = Path(__file__).with_name("zarrita.mjs").read_text()
    command = ["node", "--input-type=module", "-", str(tmp_path / "out"), str(tmp_path / "read"), *expected]
    done = subprocess.run(command, cwd=zarrita, input=program, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["arrays"]) == set(expected) >= {"a", "u", "residual", "status", "sample_id", "split", "x", "y"}
    for name, values in expected.items():
        if only_ok and len(values) == N:
            values = values[OK]
        said = found["arrays"][name]
        assert (said["dtype"], tuple(said["shape"])) == (values.dtype.name, values.shape)
        # Bit for bit, NaN included; 64-bit integers are a BigInt64Array there.
        assert (tmp_path / "read" / name).read_bytes() == values.tobytes()
    assert found["arrays"]["sample_id"]["kind"] == "BigInt64Array"
    assert found["arrays"]["u"]["attrs"]["units"] == "m"
    assert found["attrs"]["rtol"] == RTOL


TOLD = {("x", "axis"), ("y", "axis")}


@pytest.mark.parametrize("form", ["netcdf", "hdf5"])
@pytest.mark.parametrize("only_ok", [False, True])
def test_xarray_reads_the_file_with_equal_values_and_attributes(store, tmp_path, form, only_ok):
    export(store, "made@v1", tmp_path / "out", form, only_ok)
    with xr.open_dataset(tmp_path / "out", engine="h5netcdf") as read:
        read.load()
    direct = Committer.open(store, "made").open_version("v1").load()
    direct = direct.isel(sample=OK) if only_ok else direct
    assert set(read.variables) == set(direct.variables)
    for name, variable in direct.variables.items():
        np.testing.assert_array_equal(read[name], variable)
        assert (read[name].dtype, read[name].dims) == (variable.dtype, variable.dims)
        # A coordinate whose name tells the axis does not say it once more: to the conventions that means the Earth.
        expected = {key: value for key, value in variable.attrs.items() if (str(name), key) not in TOLD}
        assert set(read[name].attrs) == set(expected)
        for key, value in expected.items():
            np.testing.assert_array_equal(read[name].attrs[key], value)
    about = {name: read.attrs.pop(name) for name in ("title", "source")}
    assert about["title"] == "Samples of made@v1"
    assert about["source"].endswith(Committer.open(store, "made").resolve("v1").snapshot)
    assert read.attrs == direct.attrs
    assert read["status"].attrs["flag_meanings"] == "absent ok failed"
    assert read["status"].attrs["flag_values"].dtype == np.int8
    assert set(read.coords) == {"sample_id", "split", "x", "y"}


def test_a_file_has_a_checked_and_compressed_chunk_a_sample(store, tmp_path):
    export(store, "made@v1", tmp_path / "out.h5", "hdf5")
    with h5py.File(tmp_path / "out.h5") as file:
        field = file["u"]
        assert (field.chunks, field.compression, field.shuffle, field.fletcher32) == ((1, 8, 8), "gzip", True, True)
        assert np.isnan(field.fillvalue)
        assert field.dims[0][0].name == "/sample"
        assert file["residual"].chunks == (N,)


def test_a_zarr_export_is_the_version_at_the_same_positions(store, tmp_path):
    written = export(store, "made@latest", tmp_path / "out", "zarr")
    assert (written.samples, written.version.version) == (N, "v1")
    source, group = Committer.open(store, "made").at("v1").group(), zarr.open_group(tmp_path / "out", mode="r")
    for name, array in source.arrays():
        copy = group[name]
        assert isinstance(copy, zarr.Array)
        for key, document in array.metadata.to_buffer_dict(default_buffer_prototype()).items():
            assert copy.metadata.to_buffer_dict(default_buffer_prototype())[key].to_bytes() == document.to_bytes()
    assert group.attrs.asdict() == source.attrs.asdict()
    # With consolidated metadata, as most programs look for it, and without.
    for consolidated in (True, False):
        with xr.open_zarr(tmp_path / "out", consolidated=consolidated, chunks=None) as opened:
            np.testing.assert_array_equal(opened["status"], 1 + np.isin(np.arange(N), OK, invert=True))
            assert np.isnan(opened["u"][3]).all()
            assert np.isfinite(opened["a"]).all()
            np.testing.assert_array_equal(opened["u"][4:8], fields(1)["u"])


def test_only_ok_samples_move_together_and_the_last_shard_is_filled_up(store, tmp_path):
    export(store, "made@v1", tmp_path / "out", "zarr", only_ok=True)
    group = zarr.open_group(tmp_path / "out", mode="r")
    u = group["u"]
    assert isinstance(u, zarr.Array)
    assert (u.shape, u.shards) == ((N - 2, 8, 8), (SHARD, 8, 8))
    everything = np.concatenate([fields(shard)["u"] for shard in range(SHARDS)])
    np.testing.assert_array_equal(u[...], everything[OK])
    np.testing.assert_array_equal(group["sample_id"][:], definition()["sample_id"][OK])  # type: ignore[index]
    np.testing.assert_array_equal(group["status"][:], np.ones(N - 2))  # type: ignore[index]


@pytest.mark.parametrize("form", ["zarr", "netcdf"])
def test_samples_not_yet_solved_are_absent(tmp_path, form):
    store = Store(tmp_path / "store")
    fill(Committer.ensure(store, "made", **definition()), 1, 4)
    export(store, "made@head", tmp_path / "out", form)
    opened = (
        xr.open_zarr(tmp_path / "out", chunks=None)
        if form == "zarr"
        else xr.open_dataset(tmp_path / "out", engine="h5netcdf")
    )
    with opened:
        np.testing.assert_array_equal(opened["status"], np.repeat([0, 1, 0, 0, 1], SHARD))
        assert np.isnan(opened["a"][:4]).all()
        np.testing.assert_array_equal(opened["a"][16:], fields(4)["a"])
    export(store, "made@head", tmp_path / "good", form, only_ok=True)


def test_other_shapes_dtypes_and_attributes_come_along(tmp_path):
    """A number a sample, a coordinate along two dimensions, float64, and attributes that only JSON holds."""
    n = SHARD * 2
    empty = np.broadcast_to(np.nan, (n, 2, 3))
    about = {
        "role": "output",
        "units": "1",
        "nested": [[1, 2], [3]],
        "flag": True,
        "pair": [0.5, 1.5],
        "of": ["a", "b"],
    }
    shaped = xr.Dataset(
        {"k": ("sample", np.full(n, np.nan), {"role": "input"}), "u": (("sample", "t", "x"), empty, about)},
        coords={"place": (("t", "x"), np.arange(6.0).reshape(2, 3)), "corner": (("one", "two"), np.eye(2, dtype=int))},
    )
    store = Store(tmp_path / "store")
    dataset = Committer.ensure(store, "made", **definition(n, template=shaped))
    values = {"k": np.arange(4.0), "u": np.arange(24.0).reshape(4, 2, 3)}
    with dataset.lock():
        dataset.commit({0: (write_shard(dataset.fork(), 0, values, ledger(0)), ledger(0))})
    export(store, "made@head", tmp_path / "out", "zarr", only_ok=True)
    export(store, "made@head", tmp_path / "out.nc", "netcdf", only_ok=True)
    with (
        xr.open_zarr(tmp_path / "out", chunks=None) as plain,
        xr.open_dataset(tmp_path / "out.nc", engine="h5netcdf") as file,
    ):
        for read in (plain, file):
            np.testing.assert_array_equal(read["k"], values["k"])
            np.testing.assert_array_equal(read["u"], values["u"])
            assert read["u"].dtype == np.float64
            np.testing.assert_array_equal(read["place"], np.arange(6.0).reshape(2, 3))
            np.testing.assert_array_equal(read["corner"], np.eye(2))
            np.testing.assert_array_equal(read["u"].attrs["pair"], [0.5, 1.5])
        assert plain["u"].attrs["nested"] == [[1, 2], [3]]
        assert json.loads(file["u"].attrs["nested"]) == [[1, 2], [3]]
        assert json.loads(file["u"].attrs["flag"]) is True
        assert list(file["u"].attrs["of"]) == ["a", "b"]


@pytest.mark.parametrize("form", ["zarr", "netcdf"])
def test_memory_is_that_of_a_shard(tmp_path, form):
    """30 shards of half a megabyte."""
    n, points = 30 * SHARD, 128
    empty = np.broadcast_to(np.float32(np.nan), (n, points, points))
    roles = {"a": "input", "u": "output"}
    shaped = xr.Dataset({name: (("sample", "y", "x"), empty, {"role": role}) for name, role in roles.items()})
    store = Store(tmp_path / "store")
    dataset = Committer.ensure(store, "made", **definition(n, template=shaped))
    values = np.random.default_rng(0).standard_normal((SHARD, points, points)).astype(np.float32)
    with dataset.lock():
        fork = dataset.fork()
        for shard in range(30):
            written = write_shard(fork, shard, {"a": values, "u": values}, ledger(shard))
            dataset.commit({shard: (written, ledger(shard))})
    tracemalloc.start()
    try:
        export(store, "made@head", tmp_path / "out", form)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 9 * values.nbytes < 30 * values.nbytes


def test_progress_is_told_shard_by_shard(store, tmp_path):
    told: list[tuple[int, int]] = []
    export(store, "made@v1", tmp_path / "out", "netcdf", True, lambda done, total: told.append((done, total)))
    assert told == [(4, 18), (8, 18), (12, 18), (16, 18), (18, 18)]


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(store, tmp_path):
    with pytest.raises(StorageError, match=r"format 'csv'.*zarr.*netcdf.*hdf5"):
        export(store, "made@v1", tmp_path / "out", "csv")
    with pytest.raises(StorageError, match=r"nowhere does not exist"):
        export(store, "made@v1", tmp_path / "nowhere" / "out", "zarr")
    with pytest.raises(Unknown, match=r"no version 'v7'.*v1"):
        export(store, "made@v7", tmp_path / "out", "zarr")
    Committer.ensure(store, "empty", **definition(identity="two"))
    with pytest.raises(StorageError, match=r"empty.*no sample of it is ok"):
        export(store, "empty@head", tmp_path / "out", "zarr", only_ok=True)
    (tmp_path / "there").write_text("mine")
    with pytest.raises(StorageError, match="there: exists already"):
        export(store, "made@v1", tmp_path / "there", "netcdf")
    assert (tmp_path / "there").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "there"]


@pytest.mark.parametrize("form", ["zarr", "netcdf"])
def test_a_flipped_byte_in_a_field_ends_the_export(tmp_path, form):
    store = Store(tmp_path / "store")
    with_a_flipped_byte(Committer.ensure(store, "made", **definition()), 3)
    with pytest.raises(StorageError, match=r"field 'u', position 1[2-5]: .* checksum"):
        export(store, "made@v1", tmp_path / "out", form)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_flipped_byte_in_a_column_ends_the_export(store, tmp_path):
    # The ids are the largest chunk there is here.
    file = max(Path(store.location("datasets/made/chunks")).iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with pytest.raises(StorageError, match=r"array 'sample_id': .* checksum"):
        export(store, "made@v1", tmp_path / "out", "hdf5")
