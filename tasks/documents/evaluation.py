"""What was measured of a model on the test split."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from ritz.compute.document import Document, DocumentPart, Number


class ErrorSummary(DocumentPart):
    """A number over the test samples: mean, median, 95th percentile and the largest.

    Attributes
    ----------
    p05, min
        5th percentile and the smallest, of a number of which large is good; None of an error.
    """

    mean: Number
    median: Number
    p95: Number
    max: Number
    p05: Number | None = None
    min: Number | None = None


class Metrics(DocumentPart):
    """Errors by the name of their metric; `relative_l2` is always among them, and a metric may have several parts."""

    __pydantic_extra__: dict[str, ErrorSummary | Mapping[str, ErrorSummary]] = Field(init=False)

    relative_l2: ErrorSummary


class WorstSample(DocumentPart):
    """One of the samples with the largest errors, by its id in the dataset."""

    id: int
    relative_l2: Number


class TruthError(DocumentPart):
    """How far the truth is from a better solution, as a relative L2 error; on a few samples.

    Attributes
    ----------
    known
        Whether it could be measured; ``reason`` says why not.
    mean, max
        Over ``samples`` test samples, None where it is not known.
    points
        Points of the better solutions along each dimension.
    seconds
        That it took.
    """

    known: bool
    reason: str = ""
    mean: Number | None = None
    max: Number | None = None
    samples: int = 0
    points: Mapping[str, int] = Field(default_factory=dict)
    seconds: Number = 0.0


class TruthErrors(DocumentPart):
    """What errors the truth has itself, beside which those of a model are to be read.

    Attributes
    ----------
    dataset
        ``NAME@VERSION``.
    rtol
        Largest true relative residual of a sample, as it was asked for; None for samples that were solved elsewhere.
    rounding_bound
        What rounding to the stored dtype adds at most to the residual, None where it was not measured.
    labels
        Distance of the stored fields to the exact solution of the same discrete equations: what tolerance and rounding
        left. No model can be measured to be better.
    discretisation
        Distance of the stored fields to solutions on a grid twice as fine, with half the time steps. At second order
        the distance to the solution of the PDE is about 4/3 of it, at first order twice as much.
    """

    dataset: str
    rtol: Number | None
    rounding_bound: Number | None = None
    labels: TruthError
    discretisation: TruthError


Curve = tuple[Number, ...]
"""A number at each time."""


class Spectrum(DocumentPart):
    """How the mean square of an output over space is made up of waves, the mean over the test samples.

    Attributes
    ----------
    wavenumbers
        In radians per unit of length, from 0.
    truth, model
        At each of `Rollout.spectrum_times` the energy by wavenumber, in the square of the unit of the output.
    """

    wavenumbers: tuple[Number, ...]
    truth: tuple[Curve, ...]
    model: tuple[Curve, ...]


class Rollout(DocumentPart):
    """How predictions in time fare from step to step, the means over the test samples.

    Attributes
    ----------
    times
        Of the steps.
    nrmse, vrmse, correlation
        At each of them, of ``model`` and of every baseline by its name; see
        `ritz.compute.evaluation.rollouts.by_step`.
    drift
        By conserved quantity the magnitude of the drift of ``model`` and ``truth``; see
        `ritz.compute.evaluation.rollouts.drift`.
    spectrum_times, spectra
        By output its spectra at some of the times; see `ritz.compute.evaluation.rollouts.spectra`.
    exponents
        Smallest and largest Lyapunov exponent by which valid times count in Lyapunov times; None where they do not.
    """

    times: tuple[Number, ...]
    nrmse: Mapping[str, Curve]
    vrmse: Mapping[str, Curve] = Field(default_factory=dict)
    correlation: Mapping[str, Curve]
    drift: Mapping[str, Mapping[str, Curve]] = Field(default_factory=dict)
    spectrum_times: tuple[Number, ...] = ()
    spectra: Mapping[str, Spectrum] = Field(default_factory=dict)
    exponents: tuple[Number, Number] | None = None


class Evaluation(Document):
    """What a model and the baselines came to on the test split of a dataset.

    Attributes
    ----------
    dataset
        ``NAME@VERSION``.
    samples
        Of the test split.
    baseline_samples
        Training samples that the baselines were fitted to.
    relative_l2
        Of every test sample, for the report.
    unfit
        Metrics that were asked for and are none for these fields, and why.
    worst
        The samples with the largest relative L2 errors, the worst first.
    truth
        What errors the truth has itself; None of a model that an earlier release evaluated, as all that follows.
    sample_ids
        Of the test samples, in the order of ``relative_l2``.
    by_sample
        What each metric found for every test sample, by metric and part, to six digits.
    rollout
        How predictions fare over time; None of a problem that is not in time.
    """

    dataset: str
    samples: int
    metrics: Metrics
    baselines: Mapping[str, Metrics]
    baseline_samples: int
    relative_l2: tuple[Number, ...] = ()
    unfit: Mapping[str, str] = Field(default_factory=dict)
    worst: tuple[WorstSample, ...] = ()
    truth: TruthErrors | None = None
    sample_ids: tuple[int, ...] = ()
    by_sample: Mapping[str, Mapping[str, tuple[Number, ...]]] = Field(default_factory=dict)
    rollout: Rollout | None = None

    def short(self) -> Evaluation:
        """Return it without what it has of every sample."""
        return self.without("relative_l2", "sample_ids", "by_sample")
