from __future__ import annotations

from pathlib import Path

import pytest

from ritz.compute.cluster.attach import Attach
from ritz.compute.cluster.local import Local
from ritz.tasks.errors import RecipeError
from ritz.tasks.recipes import load_profile


def test_profiles_load() -> None:
    local = load_profile("local")
    assert isinstance(local, Local)
    assert local.solve.count == 2
    for address in ("tcp://10.0.0.5:8786", "10.0.0.5:8786", "tls://[fe80::1]:8786"):
        assert load_profile(f"attach:{address}") == Attach(address=address)


def test_a_profile_of_ones_own_loads_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("kind: local\nsolve: {count: 7, memory: 2GiB}\n")
    local = load_profile(str(path))
    assert isinstance(local, Local)
    assert (local.solve.count, local.solve.memory, local.train.count) == (7, "2GiB", 1)


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (
            "nope",
            "'nope' is unknown; expected one of attach, kubernetes, local, pbs, slurm, or the path of a .yaml file",
        ),
        ("nope.yaml", "no such file"),
        ("attach", "expected `attach:ADDRESS`, e.g. --profile attach:tcp://"),
        ("attach:", "address: expected the address that `dask scheduler` prints, e.g. 'tcp://10.0.0.5:8786'"),
        ("attach:somewhere", "address: expected the address"),
        ("attach:tcp://somewhere", "address: expected the address"),
        ("attach:tcp://somewhere:port", "address: Port could not be cast to integer value as 'port'"),
        ("attach:tcp://somewhere:99999", "address: Port out of range 0-65535"),
        ("attach:http://somewhere:8786", "address: expected the address"),
        ("local:tcp://10.0.0.5:8786", "address: there is no such field, expected one of kind, patience, time_limit, "),
    ],
)
def test_a_bad_profile_is_refused(profile: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_profile(profile)
    assert said in str(caught.value)
    assert f"profile {profile!r}" in str(caught.value)


def test_a_bad_field_of_a_profile_is_named(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("kind: local\nsolve: {count: -1}\n")
    with pytest.raises(RecipeError, match=r"solve.count: Input should be greater than 0 \(got -1\)"):
        load_profile(str(path))
