from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ritz.flows.server import key as keys
from tests.require import require


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / "state" / "ritz"


def test_a_key_is_kept_for_its_owner_alone(state: Path) -> None:
    before = os.umask(0)
    try:
        with keys.kept(4200, "ritz:one") as place, keys.kept(4201, "ritz:two"):
            assert place == keys.path(4200) == state / "server-4200.key"
            assert (keys.read(4200), keys.read(4201), keys.read(4202)) == ("ritz:one", "ritz:two", None)
            assert {stat.S_IMODE(file.stat().st_mode) for file in state.iterdir()} == {0o600}
            assert stat.S_IMODE(state.stat().st_mode) == 0o700
    finally:
        os.umask(before)
    assert list(state.iterdir()) == []


def test_a_key_that_another_has_kept_since_stays(state: Path) -> None:
    with keys.kept(4200, "ritz:one"):
        keys.path(4200).write_text("ritz:two\n")
    assert keys.read(4200) == "ritz:two"


def test_a_folder_that_was_open_is_closed(state: Path) -> None:
    state.mkdir(parents=True)
    state.chmod(0o777)
    with keys.kept(4200, "ritz:one"):
        assert stat.S_IMODE(state.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_what_others_could_have_read_or_written_is_no_key(mode: int, state: Path) -> None:
    with keys.kept(4200, "ritz:one") as place:
        place.chmod(mode)
        assert keys.read(4200) is None


def test_a_link_is_no_key(state: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("ritz:theirs")
    (tmp_path / "theirs").chmod(0o600)
    state.mkdir(parents=True)
    (state / "server-4200.key").symlink_to(tmp_path / "theirs")
    assert keys.read(4200) is None
    with keys.kept(4200, "ritz:one"):
        assert keys.read(4200) == "ritz:one"
    assert (tmp_path / "theirs").read_text() == "ritz:theirs"


def test_without_a_home_the_key_lies_in_a_folder_of_its_own(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with keys.kept(4200, "ritz:one") as place:
        assert place == keys.path(4200) == tmp_path / f"ritz-{os.geteuid()}" / "server-4200.key"
        assert keys.read(4200) == "ritz:one"
        assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


def test_a_folder_of_another_user_is_not_used(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("root")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    theirs = tmp_path / f"ritz-{os.geteuid()}"
    theirs.mkdir(mode=0o777)
    os.chown(theirs, 65534, 65534)
    with pytest.raises(OSError, match=r"/file'"), keys.kept(4200, "ritz:one"):
        pass
    planted = theirs / "server-4200.key"
    planted.write_text("ritz:theirs")
    planted.chmod(0o600)
    os.chown(planted, 65534, 65534)
    assert keys.read(4200) is None


def test_every_key_is_another() -> None:
    made = {keys.made() for _ in range(100)}
    assert len(made) == 100
    assert all(len(key) >= 40 and key.startswith("ritz:") for key in made)
