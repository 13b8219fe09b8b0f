from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from ritz.compute.kind import Kind
from ritz.tasks.documents.calibration import Coverage, Shifted, at, key
from ritz.tasks.documents.evaluation import Metrics
from ritz.tasks.documents.verdict import Verdict, release


class Gate(Kind):
    """What a model must reach to be released; one that does not is kept and marked as not released."""

    relative_l2: float | None = Field(None, gt=0, description="Largest mean relative L2 error on the test split.")
    coverage: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Largest difference between measured and nominal coverage at 90 %; missed where the whole interval "
        "of 95 % is beyond it.",
    )
    fields: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Least share of test fields that are wholly inside the 90 % bands around whole fields; missed "
        "where the upper end of its interval of 95 % is below.",
    )
    shift: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Largest drop of the coverage of whole fields at 90 % on any of `uncertainty.shifts`; missed where "
        "the whole interval of 95 % is beyond it.",
    )
    baselines: bool = Field(
        False, description="Whether the mean relative L2 error must be below that of every baseline."
    )

    def judge(
        self,
        metrics: Metrics,
        coverage: Coverage,
        baselines: Mapping[str, Metrics],
        laws: Mapping[str, Shifted] | None = None,
    ) -> Verdict:
        """Hold what was measured against the bounds.

        Parameters
        ----------
        laws
            What the error bars were worth on other laws, by their names.
        """
        missed = []
        error = metrics.relative_l2.mean
        if self.relative_l2 is not None and not error <= self.relative_l2:
            missed.append(f"mean relative L2 {error:.4g} is above {self.relative_l2:g}")
        bands = at(coverage, 0.9)
        if self.coverage is not None and bands is not None and bands.beyond(0.9, self.coverage):
            missed.append(f"90 % bands cover {bands.text()}, further than {self.coverage:.1%} from nominal")
        if self.fields is not None:
            whole = None if bands is None else bands.fields
            if whole is None:
                missed.append(f"whole fields in 90 % bands were not measured, asked for: {self.fields:.1%}")
            elif not whole.high >= self.fields:
                missed.append(f"90 % bands around whole fields hold {whole.text()}, below {self.fields:.1%}")
        for law, shifted in (laws or {}).items() if self.shift is not None else ():
            drop = shifted.drop.get(key(0.9))
            fallen = None if drop is None else drop.fields or drop.points
            if drop is not None and fallen is not None and self.shift is not None and not fallen[1] <= self.shift:
                missed.append(f"on {law!r} the coverage of 90 % bands drops: {drop.text()}, bound {self.shift:.1%}")
        if self.baselines:
            better = better_baselines(metrics, baselines)
            missed += [f"baseline {name!r} is better: mean relative L2 {its:.4g}" for name, its in better.items()]
        became = release(judged=self != Gate(), missed=bool(missed))
        return Verdict(release=became, released=not missed, missed=tuple(missed))


def better_baselines(metrics: Metrics, baselines: Mapping[str, Metrics]) -> dict[str, float]:
    """Return the baselines whose mean relative L2 error is not above that of the model, with theirs, best first."""
    return not_above(metrics.relative_l2.mean, {name: row.relative_l2.mean for name, row in baselines.items()})


def not_above(error: float, errors: Mapping[str, float]) -> dict[str, float]:
    """Return those of some errors that are not above another one, by their names, the least first."""
    # Written so that an error that is not a number is better than nothing.
    return {name: its for name, its in sorted(errors.items(), key=lambda item: item[1]) if not error < its}
