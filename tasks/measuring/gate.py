from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from ritz.compute.kind import Kind

Release = Literal["released", "missed", "not judged"]
"""What became of a model at its gate; "not judged" where the gate sets no bound."""

RELEASES: dict[Release, str] = {"released": "released", "missed": "not released", "not judged": "not judged"}
"""How it is said."""


class Gate(Kind):
    """What a model must reach to be released; one that does not is kept and marked as not released."""

    relative_l2: float | None = Field(None, gt=0, description="Largest mean relative L2 error on the test split.")
    coverage: float | None = Field(
        None, gt=0, lt=1, description="Largest difference between measured and nominal coverage at 90 %."
    )
    baselines: bool = Field(
        False, description="Whether the mean relative L2 error must be below that of every baseline."
    )

    def judge(
        self, metrics: Mapping[str, Any], coverage: Mapping[str, Any], baselines: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Hold what was measured against the bounds.

        Parameters
        ----------
        metrics, coverage, baselines
            As in a run record.

        Returns
        -------
        dict
            ``release`` (a `Release`), ``released`` (whether no bound was missed) and ``missed``, a sentence for each
            bound that was.
        """
        missed = []
        error = metrics["relative_l2"]["mean"]
        if self.relative_l2 is not None and not error <= self.relative_l2:
            missed.append(f"mean relative L2 {error:.4g} is above {self.relative_l2:g}")
        if self.coverage is not None and "0.9" in coverage:
            measured = coverage["0.9"]["measured"]
            if not abs(measured - 0.9) <= self.coverage:
                missed.append(f"90 % bands cover {measured:.1%}, further than {self.coverage:.1%} from nominal")
        if self.baselines:
            better = better_baselines(metrics, baselines)
            missed += [f"baseline {name!r} is better: mean relative L2 {its:.4g}" for name, its in better.items()]
        judged = self != Gate()
        release: Release = "not judged" if not judged else "missed" if missed else "released"
        return {"release": release, "released": not missed, "missed": missed}


def better_baselines(metrics: Mapping[str, Any], baselines: Mapping[str, Any]) -> dict[str, float]:
    """Return the baselines whose mean relative L2 error is not above that of the model, with theirs, best first."""
    error = metrics["relative_l2"]["mean"]
    errors = {name: row["relative_l2"]["mean"] for name, row in baselines.items()}
    # Written so that an error that is not a number is better than nothing.
    return {name: its for name, its in sorted(errors.items(), key=lambda item: item[1]) if not error < its}


def release_of(model: Mapping[str, Any], recipe: Mapping[str, Any]) -> Release:
    """Return what became of the model of a run record; of one before ``release`` was kept, what its gate says.

    Parameters
    ----------
    model, recipe
        Those entries of the record; the first has ``released``.
    """
    if "release" in model:
        release: Release = model["release"]
        return release
    bounds = [bound for bound in recipe.get("gate", {}).values() if bound]
    return "missed" if not model["released"] else "released" if bounds else "not judged"
