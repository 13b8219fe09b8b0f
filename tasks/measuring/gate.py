from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import Field

from ritz.compute.kind import Kind
from ritz.tasks.documents.calibration import Coverage, CoverageRow, Shifted, at, key
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
    zone: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Largest shortfall of the coverage at 90 % from nominal in any zone of the bands, e.g. along the "
        "walls; missed where even the upper end of its interval of 95 % is further below.",
    )
    width: float | None = Field(
        None,
        gt=0,
        description="Largest mean width of the 90 % bands over the standard deviation of the output.",
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
        bands = at(coverage, 0.9)
        missed = (
            *self._of_error(metrics.relative_l2.mean),
            *self._of_points(bands),
            *self._of_fields(bands),
            *self._of_zones(bands),
            *self._of_width(bands),
            *self._of_laws(laws or {}),
            *self._of_baselines(metrics, baselines),
        )
        became = release(judged=self != Gate(), missed=bool(missed))
        return Verdict(release=became, released=not missed, missed=missed)

    def _of_error(self, error: float) -> Iterator[str]:
        if self.relative_l2 is not None and not error <= self.relative_l2:
            yield f"mean relative L2 {error:.4g} is above {self.relative_l2:g} by {error - self.relative_l2:.2g}"

    def _of_points(self, bands: CoverageRow | None) -> Iterator[str]:
        if self.coverage is not None and bands is not None and bands.beyond(0.9, self.coverage):
            low, high = (bands.measured if end is None else end for end in (bands.low, bands.high))
            gap = _points(max(0.9 - self.coverage - high, low - 0.9 - self.coverage))
            yield f"90 % bands cover {bands.text()}, further than {self.coverage:.1%} from nominal by {gap}"

    def _of_fields(self, bands: CoverageRow | None) -> Iterator[str]:
        if self.fields is None:
            return
        whole = None if bands is None else bands.fields
        if whole is None:
            yield f"whole fields in 90 % bands were not measured, asked for: {self.fields:.1%}"
        elif not whole.high >= self.fields:
            gap = _points(self.fields - whole.high)
            yield f"90 % bands around whole fields hold {whole.text()}, below {self.fields:.1%} by {gap}"

    def _of_zones(self, bands: CoverageRow | None) -> Iterator[str]:
        if self.zone is None:
            return
        zones = None if bands is None else bands.by_zone
        if not zones:
            yield f"zones of 90 % bands were not measured, asked for: at most {self.zone:.1%} below nominal"
            return
        worst = min(range(len(zones)), key=lambda zone: zones[zone][2])
        share, low, high = zones[worst]
        if not high >= 0.9 - self.zone:
            yield (
                f"90 % bands cover {share:.1%} [{100 * low:.1f}, {100 * high:.1f}] in zone {worst + 1} of "
                f"{len(zones)}, further than {self.zone:.1%} below nominal by {_points(0.9 - self.zone - high)}"
            )

    def _of_width(self, bands: CoverageRow | None) -> Iterator[str]:
        if self.width is None:
            return
        ratio = None if bands is None else bands.width_over_sd
        if ratio is None:
            yield f"the width of 90 % bands in deviations of the output was not measured, asked for: {self.width:g}"
        elif not ratio <= self.width:
            yield (
                f"90 % bands are {ratio:.3g} standard deviations of the output wide, above {self.width:g} by "
                f"{ratio - self.width:.2g}"
            )

    def _of_laws(self, laws: Mapping[str, Shifted]) -> Iterator[str]:
        for law, shifted in laws.items() if self.shift is not None else ():
            drop = shifted.drop.get(key(0.9))
            fallen = None if drop is None else drop.fields or drop.points
            if drop is not None and fallen is not None and self.shift is not None and not fallen[1] <= self.shift:
                gap = _points(fallen[1] - self.shift)
                said = f"on {law!r} the coverage of 90 % bands drops: {drop.text()}"
                yield f"{said}, beyond the bound {self.shift:.1%} by {gap}"

    def _of_baselines(self, metrics: Metrics, baselines: Mapping[str, Metrics]) -> Iterator[str]:
        error = metrics.relative_l2.mean
        for name, its in better_baselines(metrics, baselines).items() if self.baselines else ():
            yield f"baseline {name!r} is better: mean relative L2 {its:.4g}, below {error:.4g} by {error - its:.2g}"


def _points(gap: float) -> str:
    """Return by how much a bound on shares was missed, at the end of the interval that is nearer to it."""
    return f"at least {100 * gap:.1f} percentage points"


def better_baselines(metrics: Metrics, baselines: Mapping[str, Metrics]) -> dict[str, float]:
    """Return the baselines whose mean relative L2 error is not above that of the model, with theirs, best first."""
    return not_above(metrics.relative_l2.mean, {name: row.relative_l2.mean for name, row in baselines.items()})


def not_above(error: float, errors: Mapping[str, float]) -> dict[str, float]:
    """Return those of some errors that are not above another one, by their names, the least first."""
    # Written so that an error that is not a number is better than nothing.
    return {name: its for name, its in sorted(errors.items(), key=lambda item: item[1]) if not error < its}
