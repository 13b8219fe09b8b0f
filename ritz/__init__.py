"""Ritz turns a parametric PDE into a versioned dataset and a neural surrogate whose error bars are measured.

What a user types is here, and loaded when it is first used: `Pipeline`, `Problem` and `Evolution` to say what is to
be computed, `Systems` and `Stencil` to pose it, `Network` and `Fitted` (both a `Surrogate`) to learn it; `run` and
`generate` to do it, `implicit_solve` to differentiate it; `open_dataset` and `load_model` to use what came of it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ritz.compute.problems.evolution import Evolution
    from ritz.compute.problems.problem import Problem
    from ritz.compute.simulation.implicit import implicit_solve
    from ritz.compute.solvers.operators import Stencil
    from ritz.compute.solvers.systems import Systems
    from ritz.compute.surrogates.fitted.fitted import Fitted
    from ritz.compute.surrogates.network import Network
    from ritz.compute.surrogates.surrogate import Surrogate
    from ritz.flows.generate import generate_dataset as generate
    from ritz.flows.open import load_model, open_dataset
    from ritz.flows.run import run_pipeline as run
    from ritz.tasks.pipeline import Pipeline

    __version__: str

__all__ = [
    "Evolution",
    "Fitted",
    "Network",
    "Pipeline",
    "Problem",
    "Stencil",
    "Surrogate",
    "Systems",
    "generate",
    "implicit_solve",
    "load_model",
    "open_dataset",
    "run",
]

_PLACES = {
    "Evolution": "ritz.compute.problems.evolution:Evolution",
    "Fitted": "ritz.compute.surrogates.fitted.fitted:Fitted",
    "Network": "ritz.compute.surrogates.network:Network",
    "Pipeline": "ritz.tasks.pipeline:Pipeline",
    "Problem": "ritz.compute.problems.problem:Problem",
    "Stencil": "ritz.compute.solvers.operators:Stencil",
    "Surrogate": "ritz.compute.surrogates.surrogate:Surrogate",
    "Systems": "ritz.compute.solvers.systems:Systems",
    "generate": "ritz.flows.generate:generate_dataset",
    "implicit_solve": "ritz.compute.simulation.implicit:implicit_solve",
    "load_model": "ritz.flows.open:load_model",
    "open_dataset": "ritz.flows.open:open_dataset",
    "run": "ritz.flows.run:run_pipeline",
}

if not Path(__file__).with_name("compute").is_dir():
    raise ImportError(
        f"{Path(__file__).parent} has no folder 'compute': a checkout of Ritz needs symbolic links "
        "(git config core.symlinks true, then git checkout .)"
    )


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("ritz")
    if name not in _PLACES:
        raise AttributeError(f"module 'ritz' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
