"""What a stage by itself prints: a short table, and some lines."""

from __future__ import annotations

from ritz.compute.solvers.choice.record import Choice
from ritz.compute.training.training_record import BestValidation, TrainingMachine
from ritz.tasks.documents.calibration import Calibration
from ritz.tasks.documents.dataset import LedgerSummary, PublishedDataset
from ritz.tasks.generation.result import Generated
from ritz.tasks.views import calibrated, generated, trained
from tests.documents import training

COVERAGE = {
    "nominal": 0.9,
    "measured": 0.9068,
    "width": 4.591e-06,
    "low": 0.9031,
    "high": 0.9105,
    "expected": [0.9, 0.9066],
    "fields": {"inside": 137, "of": 153, "measured": 0.8954, "low": 0.8362, "high": 0.9392, "width": 4.7e-06},
}


def test_coverage_by_time_is_a_line() -> None:
    over_time = {
        "by_step": [[0.91, 0.89, 0.93], [0.86, 0.84, 0.88], [0.9, 0.88, 0.92]],
        "by_step_together": [[0.88, 0.94], [0.83, 0.89], [0.87, 0.93]],
    }
    found = Calibration.model_validate(
        {"dataset": "heat@v1", "samples": {"test": 153}, "coverage": {"0.9": COVERAGE | over_time}}
    )
    assert calibrated.lines(found)[1:] == [
        "coverage of 90% bands by time: 86.0% to 91.0% over 3 times; the interval, which holds at all of them "
        "together, ends below nominal at 1"
    ]


def test_bars_have_what_was_promised_and_measured_per_level() -> None:
    found = Calibration.model_validate(
        {
            "dataset": "darcy@v1",
            "made": "By steps.",
            "samples": {"calibrate": 153, "test": 153},
            "coverage": {"0.9": COVERAGE},
            "ranking": {"spearman_point": 0.99991, "spearman_sample": 0.9999},
            "shifted": {
                "rough": {
                    "changes": {},
                    "samples": 150,
                    "relative_l2": 0.04,
                    "coverage": {"0.9": COVERAGE},
                    "drop": {"0.9": {"points": [0.041, 0.03, 0.052], "fields": [0.2, 0.1, 0.3]}},
                }
            },
        }
    )
    assert calibrated.rows(found) == [
        {
            "nominal": "90%",
            "expected": "90.0 to 90.7 %",
            "points inside": "90.7% [90.3, 91.0]",
            "whole fields inside": "89.5% [83.6, 93.9]",
            "mean width": "4.59e-06",
        }
    ]
    assert calibrated.lines(found) == [
        "darcy@v1: 153 of the split 'calibrate', 153 of the split 'test'; intervals of 95 % count samples, not points",
        "By steps.",
        "rank correlation of estimated and true error: 1.000 at points, 1.000 over samples",
        "on 'rough' the coverage of 90% bands drops by percentage points: points +4.1 [+3.0, +5.2], whole fields +20.0 "
        "[+10.0, +30.0]",
    ]


def test_bars_of_an_older_release_have_what_was_measured_then() -> None:
    row = {"nominal": 0.5, "measured": 0.48, "width": 0.1}
    found = Calibration.model_validate({"dataset": "d@v1", "samples": {"test": 3}, "coverage": {"0.5": row}})
    [table] = calibrated.rows(found)
    assert (table["expected"], table["points inside"], table["whole fields inside"]) == ("-", "48.0%", "-")
    assert len(calibrated.lines(found)) == 1


def test_a_training_says_what_was_done() -> None:
    summary = training(1540).changed(
        machines=(TrainingMachine(device="cpu"),), unseen=4, stopped=1200, best=BestValidation(step=1100, error=0.0215)
    )
    table = {row["training"]: row[""] for row in trained.rows(summary)}
    assert table["gradient steps"] == "1,540"
    assert table["training samples"] == "1, 4 of them in no step"
    assert table["device"] == "cpu"
    assert table["stopped early"] == "after step 1,200"
    assert table["kept"] == "the weights of step 1,100, validation error 0.0215"


def test_a_generation_says_what_the_dataset_holds() -> None:
    dataset = PublishedDataset(name="d", version="v1", snapshot="S", samples=1024, splits={"train": 1000, "steer": 0})
    ledger = LedgerSummary(
        max_residual=9.8e-9, solvers={"multigrid": 1024}, failed=0, seconds=2.24, rtol=1e-8, solved=24, reused=1000
    )
    found = Generated(dataset=dataset, ledger=ledger, choice=Choice(), panel=(), last_shard=None, seconds=1.0)
    table = {row["dataset"]: row[""] for row in generated.rows(found)}
    assert table == {
        "samples": "1,024 (1000 train)",
        "solved": "24 now, 1,000 found; 0 failed",
        "solver": "multigrid 1,024",
        "residual": "at most 9.8e-09 (asked: 1e-08)",
        "solver time": "2.2 s",
    }
