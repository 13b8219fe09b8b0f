from __future__ import annotations

import numpy as np
import pytest

from ritz.compute.evaluation.measured import Measured
from ritz.storage.errors import Refused
from ritz.tasks.documents.cost import BreakEven
from ritz.tasks.documents.evaluation import Evaluation, TruthError, TruthErrors, WorstSample
from ritz.tasks.measuring.evaluate import refuse_lost
from ritz.tasks.views.evaluated import lines, rows
from tests.documents import errors, metrics

EVALUATION = Evaluation(
    dataset="small@v1",
    samples=6,
    metrics=metrics(0.123456).changed(flux={"x_low": errors(0.5).document()}),
    baselines={"linear": metrics(0.2)},
    baseline_samples=10,
    unfit={"boundary": "there are no walls"},
    worst=tuple(WorstSample(id=number, relative_l2=0.7 / number) for number in range(1, 8)),
    truth=TruthErrors(
        dataset="small@v1",
        rtol=1e-8,
        labels=TruthError(known=True, mean=2.54e-8, max=3e-8, samples=6),
        discretisation=TruthError(known=False, reason="it is a mesh"),
    ),
)


def test_a_model_whose_steps_grow_without_bounds_is_refused_by_the_samples() -> None:
    rows = {"sample_id": np.array([7, 20, 41, 63]), "model|relative_l2|": np.array([0.1, np.inf, 3.0, np.nan])}
    said = r"model small@v1: the predictions of 2 of 4 test samples of small@v2 are not finite, ids \[20, 63\];"
    with pytest.raises(Refused, match=said):
        refuse_lost(Measured(rows), "small@v1", "small@v2")
    refuse_lost(Measured({name: values[::2] for name, values in rows.items()}), "small@v1", "small@v2")


def test_errors_are_printed_to_three_digits_with_those_of_the_baselines() -> None:
    assert [(row["error"], row["mean"], row["worst"]) for row in rows(EVALUATION)] == [
        ("relative L2", "0.123", "0.123"),
        ("flow through a wall, relative, x low", "0.5", "0.5"),
        ("baseline linear, relative L2", "0.2", "0.2"),
    ]


def test_of_what_large_is_good_the_worst_is_the_smallest() -> None:
    whole = {"mean": 3.0, "median": 3.5, "p95": 4.5, "max": 5.0, "p05": 1.5, "min": 1.0}
    found = EVALUATION.changed(metrics=metrics(0.1).changed(valid_time={"": whole, "to_the_end": whole}))
    assert rows(found)[1:3] == [
        {"error": title, "mean": "3", "median": "3.5", "95th pct.": "1.5", "worst": "1"}
        for title in (
            "valid time (large is good; 5th pct.)",
            "valid time, to the end (large is good; 5th pct.)",
        )
    ]


def test_lines_name_the_worst_samples_the_errors_of_the_truth_and_what_does_not_fit() -> None:
    assert lines(EVALUATION, BreakEven(measured=False, reason="the problem is not installed here")) == [
        "6 test samples of small@v1; the worst by id: 1 (0.7), 2 (0.35), 3 (0.233), 4 (0.175), 5 (0.14)",
        "relative L2 from the truth to a grid twice as fine: not known; it is a mesh",
        "relative L2 from the stored truth to its exact solution: mean 2.5e-08, worst 3e-08 of 6 samples",
        "No relative L2 along the walls: there are no walls.",
        "no break-even, the problem is not installed here",
    ]
