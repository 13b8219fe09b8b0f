from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest

from ritz.flows.server.home import HOME, private_home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_home_is_its_owner_s_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME, str(tmp_path / "a" / "prefect"))
    with private_home() as home:
        assert home == tmp_path / "a" / "prefect"
        assert mode(home) == 0o700


def test_one_of_before_becomes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "prefect"
    home.mkdir()
    home.chmod(0o755)
    (home / "prefect.db-journal").symlink_to(tmp_path / "nowhere")
    for name in ("prefect.db", "prefect.db-wal", "prefect.db-shm"):
        (home / name).touch()
        (home / name).chmod(0o644)
    monkeypatch.setenv(HOME, str(home))
    with caplog.at_level(logging.INFO, "ritz"):
        for _ in range(2):
            with private_home():
                assert mode(home) == 0o700
                assert {mode(file) for file in home.iterdir() if not file.is_symlink()} == {0o600}
    assert [record.message for record in caplog.records] == [
        f"PREFECT_HOME {home} can be read by its owner alone from now on"
    ]


def test_a_folder_of_everybody_stays_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "prefect.db").touch()
    monkeypatch.setenv(HOME, str(tmp_path))
    with private_home():
        assert mode(tmp_path) == 0o1777
        assert mode(tmp_path / "prefect.db") == 0o600


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nobody/prefect"])
def test_a_home_that_cannot_be_written_is_replaced_and_said(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    configured = str(tmp_path / place)
    monkeypatch.setenv(HOME, configured)
    with private_home() as home:
        assert os.environ[HOME] == str(home)
        assert mode(home) == 0o700
    assert not home.exists()
    assert os.environ[HOME] == configured
    [line] = [record.message for record in caplog.records]
    assert line.startswith(f"PREFECT_HOME {configured} cannot be written (")
    assert "a temporary one is used" in line
