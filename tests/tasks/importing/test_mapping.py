"""Every bad input of an import is one line with field, value and what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ritz.storage.errors import StorageError
from ritz.tasks.errors import RecipeError
from ritz.tasks.importing.first import resolved_first
from ritz.tasks.requests.importing import ImportFiles
from tests.tasks.importing.mapped import VARIABLES, made, written

GOOD: dict[str, Any] = {"name": "own", "files": "*.h5", "variables": VARIABLES}


def _with(**changes: Any) -> dict[str, Any]:
    return GOOD | changes


def _u(**changes: Any) -> dict[str, Any]:
    return _with(variables={**VARIABLES, "u": {**VARIABLES["u"], **changes}})


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no files": (_with(files="*.nc"), r"files: '\*.nc' has no file in .*, expected at least one"),
    "nothing named": (_with(files=[]), "files is empty, and variables.a has none of its own"),
    "a folder": (_with(files="."), "files: '.' is a folder, expected files"),
    "unknown field": (_with(file="*.h5"), "did you mean files"),
    "unknown layout": (_with(layout="pdebench"), "pdebench_darcy"),
    "no output": (
        _with(variables={"a": VARIABLES["a"]}),
        r"variables have the roles \['input'\], expected at least one",
    ),
    "role": (_u(role="target"), "variables.u.role"),
    "no array": (_u(**{"from": "v"}), r"no array 'v', expected one of a, u"),
    "no dims": (_with(variables={**VARIABLES, "u": {"role": "output"}}), "variables.u.dims is missing: .*0.h5"),
    "few dims": (_u(dims=["sample", "y"]), r"variables.u.dims is \['sample', 'y'\], expected 3 names"),
    "twice": (_u(dims=["sample", "y", "y"]), "expected each name once"),
    "no axis of one": (_u(dims=["sample", 1, "x"]), "1 stands for an axis of one point, and it has 6"),
    "other sizes": (_u(dims=["sample", "x", "y"]), "variables.u has the points 0 to 6 of 7 along 'y', expected those"),
    "at": (_u(at={"z": 0}), r"variables.u.at.z is no dimension of 'u', expected one of \['y', 'x'\]"),
    "beyond": (_u(at={"y": 6}), "variables.u.at.y is 6, expected positions among 6 points"),
    "backwards": (_u(at={"y": [4, 2]}), r"at.y is \[4, 2\], expected the first position and a later end"),
    "no attribute": (_u(divide_by="bta"), "no attribute 'bta', expected one of beta; did you mean 'beta'"),
    "zero": (_u(scale=0), "scale is 0, expected another factor"),
    "field as parameter": (
        _with(variables={**VARIABLES, "a": {**VARIABLES["a"], "role": "parameter"}}),
        "one number per",
    ),
    "unused dim": (_with(dims={"z": {"units": "m"}}), "dims.z is the dimension of no variable, expected one of"),
    "two places": (
        _with(dims={"x": {"from": "x", "values": [1.0]}}),
        "from and values are given, expected one of them",
    ),
    "few points": (_with(dims={"x": {"values": [1.0, 2.0]}}), r"dims.x.values has the shape \(2,\), expected 7 finite"),
    "no order": (_with(dims={"y": {"values": [0, 1, 2, 2, 4, 5]}}), "dims.y.values neither rises nor falls throughout"),
    "name": (_with(variables={**VARIABLES, "1st": {"role": "input"}}), "1st"),
    "splits": (_with(data={"splits": {"train": 13}}), "shares add up to 21; expected 20"),
    "not on all": (_u(at={"y": 0}), "output 'u' has the dimensions .*, expected .* among them"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("files")
    with h5py.File(found / "0.h5", "w") as file:
        for name, values in made(4).items():
            file[name] = values
        file.attrs["beta"] = 2.0
    return found


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_in_a_line(case: str, folder: Path) -> None:
    document, said = BAD[case]
    with pytest.raises((RecipeError, StorageError), match=said) as raised:
        resolved_first(ImportFiles.read(written(folder, document)).planned(str(folder / "store")))
    lines = str(raised.value).splitlines()
    assert len(lines) <= 2
    assert not (folder / "store").exists()


def test_what_is_right_is_resolved(folder: Path) -> None:
    found = resolved_first(ImportFiles.read(written(folder, GOOD)).planned(str(folder / "store")))
    assert [one.name for one in found.along] == ["y", "x"]
    assert [(one.name, one.role, one.dims) for one in found.variables] == [
        ("a", "input", ("y", "x")),
        ("u", "output", ("y", "x")),
    ]


def test_no_such_mapping_and_no_mapping_are_said(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        ImportFiles.read(str(tmp_path / "none.yaml"))
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(RecipeError, match="expected a mapping of fields, got list"):
        ImportFiles.read(str(tmp_path / "list.yaml"))


def test_a_file_of_a_name_with_a_star_is_that_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a[0].h5").write_bytes((folder / "0.h5").read_bytes())
    work = ImportFiles.read(written(tmp_path, _with(files="a[0].h5"))).planned(str(tmp_path / "store"))
    assert [Path(path).name for paths in work.items for path in paths] == ["a[0].h5"]
    assert np.isfinite(resolved_first(work).along[0].count)
