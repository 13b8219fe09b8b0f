"""`ritz bridge` in a process of its own, asked by the client of the package `umbridge`, and the page that shows it."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import umbridge

import ritz
from ritz.compute.evaluation.quantities.reading import quantity
from ritz.compute.problems.cookies import Cookies
from ritz.compute.problems.darcy import Darcy
from ritz.compute.simulation.simulate import simulate
from ritz.compute.solvers.factorization.direct import Direct
from tests.command import RITZ, inside, started

PAGE = (Path(__file__).parents[3] / "docs" / "cookies.md").read_text(encoding="utf-8")

QUANTITIES = ("mean:u", "at:u:0.5,0.25")


@contextmanager
def served(*arguments: str) -> Iterator[dict[str, Any]]:
    """Start a server and return what it says of itself."""
    with started(RITZ, "bridge", *arguments, "--port", "0", "--json", stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        yield json.loads("".join(lines))


@pytest.fixture(scope="module")
def cookies() -> Iterator[dict[str, Any]]:
    """The server of the page; its solver and what it returns are those of the page."""
    (command,) = re.findall(r"^    ritz bridge (cookies --quantity .*)$", PAGE, re.MULTILINE)
    with served(*shlex.split(command), "--set", "solver=direct") as found:
        yield found


@pytest.fixture(scope="module")
def darcy(tiny_store: tuple[Path, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The server of a trained model."""
    options = [word for one in QUANTITIES for word in ("--quantity", one)]
    with served("tiny", "--store", str(tiny_store[0]), "--leading", "5", *options) as found:
        yield found


def test_a_client_gets_the_numbers_of_a_direct_call(cookies: dict[str, Any]) -> None:
    model, given = umbridge.HTTPModel(cookies["url"], "solver"), np.random.default_rng(0).uniform(-0.9, -0.3, (3, 8))
    assert (model.get_input_sizes(), model.get_output_sizes()) == ([8], [1])
    assert model.supports_evaluate()
    assert model.supports_gradient()
    assert model.supports_apply_jacobian()
    assert not model.supports_apply_hessian()
    asked = quantity("integral:u:0.4,0.4:0.6,0.6")
    for cells, config in ((40, {}), (20, {"coarsening": 2})):
        problem = Cookies(shape=(cells, cells))
        for y in given:
            inputs = {"y_n": y[None]}
            fields, _ = simulate(problem, inputs, Direct(), 1e-8)
            direct = float(asked.value(problem, inputs, fields)[0])
            assert model([y.tolist()], config)[0] == pytest.approx([direct], rel=1e-12)


def test_derivatives_are_those_of_the_numbers(cookies: dict[str, Any]) -> None:
    model, y = umbridge.HTTPModel(cookies["url"], "solver"), np.random.default_rng(0).uniform(-0.9, -0.3, 8)
    way = np.random.default_rng(1).standard_normal(8)
    config = {"coarsening": 2}
    ahead, behind = (model([(y + h * way).tolist()], config)[0][0] for h in (1e-5, -1e-5))
    slope = (ahead - behind) / 2e-5
    assert model.apply_jacobian(0, 0, [y.tolist()], way.tolist(), config) == pytest.approx([slope], rel=1e-6)
    gradient = model.gradient(0, 0, [y.tolist()], [2.0], config)
    assert np.dot(gradient, way) == pytest.approx(2 * slope, rel=1e-6)
    with pytest.raises(Exception, match="InvalidInput: sens holds something else than numbers"):
        model.gradient(0, 0, [y.tolist()], ["one"], config)


def test_only_this_machine_is_answered(cookies: dict[str, Any]) -> None:
    """The package by itself would listen on every address: what keeps it from that is a private part of it."""
    host, port = cookies["url"].removeprefix("http://").split(":")
    assert host == "127.0.0.1"
    lines = Path("/proc/net/tcp").read_text().splitlines() + Path("/proc/net/tcp6").read_text().splitlines()
    listeners = [line.split()[1] for line in lines[1:] if len(line.split()) > 3 and line.split()[3] == "0A"]
    assert [one for one in listeners if one.endswith(f":{int(port):04X}")] == [f"0100007F:{int(port):04X}"]


@pytest.mark.parametrize(
    ("sent", "config", "said"),
    [
        ([[-0.5] * 7], {}, "InvalidInput.*Expected 8 but got 7"),
        ([["many"] * 8], {}, "InvalidInput: y_n holds something else than numbers"),
        ([[-0.5] * 8], {"fidelity": 2}, "InvalidInput: config has 'fidelity', expected one of sample, coarsening"),
        ([[-0.5] * 8], {"coarsening": 3}, r"InvalidInput: config.coarsening is 3: shape is \(40, 40\), no multiple"),
        ([[-0.5] * 8], {"sample": -1}, "InvalidInput: config.sample is -1, expected a whole number of at least 0"),
        ([[-1.0] * 8], {}, "ModelError: model 'solver' has no good solution of this sample"),
    ],
)
def test_what_cannot_be_answered_is_an_error_with_its_reason(
    cookies: dict[str, Any], sent: list[list[float]], config: dict[str, object], said: str
) -> None:
    with pytest.raises(Exception, match=said):
        umbridge.HTTPModel(cookies["url"], "solver")(sent, config)


def test_a_trained_model_has_three_models(darcy: dict[str, Any], tiny_store: tuple[Path, dict[str, Any]]) -> None:
    assert (darcy["source"], darcy["parameters"], darcy["rtol"]) == ("tiny@v1", "coordinates", 1e-8)
    assert darcy["models"] == [
        {
            "name": name,
            "inputs": ["coordinates"],
            "input_sizes": [5],
            "outputs": list(QUANTITIES),
            "output_sizes": [2],
        }
        for name in ("solver", "surrogate", "corrected")
    ]
    problem, given = Darcy(shape=(16, 16)), [0.2, 0.9, 0.4, 0.5, 0.7]
    inputs = problem.draw_at(0, np.array([3]), np.array([given]))
    predicted = ritz.load_model("tiny", store=str(tiny_store[0])).predict(inputs)
    answers = {}
    for name in ("solver", "surrogate", "corrected"):
        [answers[name]] = umbridge.HTTPModel(darcy["url"], name)([given], {"sample": 3})
    solved, _ = simulate(problem, inputs, Direct(), 1e-10)
    for place, text in enumerate(QUANTITIES):
        truth = quantity(text).value(problem, inputs, solved)[0]
        double = {name: values.astype(np.float64) for name, values in predicted.items()}
        alone = quantity(text).value(problem, inputs, double)[0]
        assert answers["solver"][place] == pytest.approx(truth, rel=1e-7)
        assert answers["surrogate"][place] == pytest.approx(alone, rel=1e-12)
        # A surrogate may be right about one number of a field by chance.
        allowed = max(0.1 * abs(answers["surrogate"][place] - truth), 0.01 * abs(truth))
        assert abs(answers["corrected"][place] - truth) < allowed


def test_coordinates_and_surrogates_have_no_derivatives(darcy: dict[str, Any]) -> None:
    for name in ("solver", "surrogate", "corrected"):
        model = umbridge.HTTPModel(darcy["url"], name)
        assert not any([model.supports_gradient(), model.supports_apply_jacobian()])


def test_a_page_in_a_browser_finds_the_protocol(darcy: dict[str, Any]) -> None:
    with urllib.request.urlopen(f"{darcy['url']}/Info") as answer:
        assert json.load(answer) == {"protocolVersion": 1.0, "models": ["solver", "surrogate", "corrected"]}


def test_the_python_of_the_page_runs_and_prints_what_it_says(cookies: dict[str, Any]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        program = block.replace("http://127.0.0.1:4242", cookies["url"])
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        said = [line.partition("  # ")[2].partition(", on")[0] for line in block.splitlines() if "print(" in line]
        for printed, expected in zip(done.stdout.splitlines(), said, strict=True):
            assert printed.startswith(expected.split("…")[0])


REFUSED = {
    "nobody": "ritz: model 'nobody': not in {store}; there are: tiny; the shipped recipes are acoustic, ",
    "tiny --set problem.shape=[8,8]": "ritz: --set changes fields of a recipe, and 'tiny' is a model",
    "cookies --quantity median:u": "ritz: --quantity: quantity 'median:u': kind is 'median', expected one of at, flux",
    "cookies --quantity mean:v": "ritz: --quantity mean:v: of is 'v', expected one of the outputs ['u']",
    "cookies --quantity flux:u:x_low": "ritz: --quantity flux:u:x_low: the problem 'cookies' names no input that is",
    "cookies --leading 3": "ritz: --leading is 3 with --parameters inputs, expected --parameters coordinates",
    "cookies --parameters coordinates --leading 9": "ritz: --leading is 9, expected 1 to 8 coordinates of 'cookies'",
    "cookies --set problem.low=0": "ritz: recipe 'cookies': problem: low is 0, expected less than high, which is -0.2",
    "cookies --set solver=direct --port {taken}": "ritz: --host 127.0.0.1 --port {taken}: Address already in use; exp",
    "cookies --set solver=direct --host nowhere.invalid": "ritz: --host nowhere.invalid --port 4242: ",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_cannot_be_served_is_refused_in_one_line(arguments: str, tiny_store: tuple[Path, dict[str, Any]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        words = {"store": str(tiny_store[0]), "taken": str(other.getsockname()[1])}
        done = inside("bridge", *arguments.format(**words).split(), "--store", words["store"])
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith(REFUSED[arguments].format(**words))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    done = inside("bridge", "cookies")
    assert done.returncode == 2
    assert done.stderr == (
        "ritz: ritz bridge needs umbridge, which is not installed; expected the extra `bridge`: pip install "
        "'ritz[bridge]'\n"
    )
