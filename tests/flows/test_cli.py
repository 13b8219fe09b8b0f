from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from ritz.flows.cli import app
from tests.command import ritz

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


def test_version() -> None:
    done = ritz("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"ritz {version('ritz')}\n", "")


def test_every_command_is_there() -> None:
    stages = {"run", "generate", "train", "evaluate", "quantify", "predict"}
    looking = {"recipes", "methods", "layout", "datasets", "models", "runs", "show", "diff", "lineage"}
    others = {"serve", "trigger", "audit", "export", "regenerate", "replay", "gc", "compare", "import"}
    others |= {"catalogue", "doctor", "bridge", "propagate"}
    assert set(COMMANDS) == stages | looking | others


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)], ids=" ".join)
def test_help_has_an_example(command: list[str]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert f"Example: ritz {' '.join(command)}" in shown.stdout


def test_help_without_a_command_lists_them() -> None:
    done = ritz("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("command", [["--help"], ["recipes", "--json"]], ids=" ".join)
def test_looking_around_loads_nothing_heavy(command: list[str]) -> None:
    program = (
        "import sys\n"
        "from ritz.flows.cli import main\n"
        f"sys.argv = ['ritz', *{command!r}]\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    heavy = {'torch', 'neuralop', 'prefect', 'matplotlib', 'sklearn', 'icechunk'}\n"
        "    sys.stderr.write('loaded: ' + ' '.join(sorted(heavy & set(sys.modules))))\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert done.stdout
    assert done.stderr == "loaded: "


@pytest.mark.parametrize("command", ["run", "nobody", "train darcy", "predict tiny", "run darcy --port 1"])
def test_a_command_that_is_incomplete_is_refused_with_its_usage(command: str) -> None:
    shown = CliRunner().invoke(app, command.split())
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert "Usage: " in shown.stderr
