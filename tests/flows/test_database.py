from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ritz.flows.database import FILES, prepare, provide
from ritz.flows.home import DATABASE, HOME


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a database that has been prepared."""
    made = tmp_path / "prepared"
    made.mkdir()
    for name in FILES:
        (made / name).write_bytes(name.encode())
    return made


def test_a_new_home_begins_with_the_database_of_the_installation(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    provide(home, folder)
    assert sorted(file.name for file in home.iterdir()) == sorted(FILES)
    assert all((home / name).read_bytes() == name.encode() for name in FILES)
    assert {stat.S_IMODE(file.stat().st_mode) for file in home.iterdir()} == {0o600}


@pytest.mark.parametrize("there", ["file", "link"])
def test_a_database_that_is_there_stays(tmp_path: Path, folder: Path, there: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    if there == "file":
        (home / DATABASE).write_bytes(b"mine")
    else:
        (home / DATABASE).symlink_to(tmp_path / "nowhere")
    provide(home, folder)
    assert [file.name for file in home.iterdir()] == [DATABASE]
    assert not (tmp_path / "nowhere").exists()


def test_without_one_prefect_makes_its_own(tmp_path: Path) -> None:
    provide(tmp_path, tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_what_is_prepared_is_kept(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    prepare(folder)
    assert (folder / DATABASE).read_bytes() == DATABASE.encode()
    assert not (tmp_path / "home").exists()


def test_a_server_needs_no_revisions_for_it(tmp_path: Path) -> None:
    """What is prepared is whole: the server that begins with it changes nothing in its tables."""
    code = """
import os, sqlite3, sys
from pathlib import Path
from ritz.flows import database
from ritz.flows.server import embedded

folder, home = database.prepared(), Path(sys.argv[1])
database.prepare(folder)
os.environ[database.HOME] = str(home)

def schema(place):
    with sqlite3.connect(place / database.DATABASE) as connection:
        return connection.execute("select sql from sqlite_master order by name").fetchall()

with embedded():
    pass
blocks = sqlite3.connect(home / database.DATABASE).execute("select count(*) from block_type").fetchone()
assert schema(home) == schema(folder) and blocks[0] > 0
assert [file.name for file in folder.parent.iterdir()] == [folder.name]
"""
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-c", code, str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
