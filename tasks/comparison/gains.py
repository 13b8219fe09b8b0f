from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from ritz.compute.evaluation.paired import gain
from ritz.tasks.comparison.comparison_record import ComparisonRecord, GainRow, TrainedSeed

ARMS = ("equal_steps", "equal_solves", "equal_time")
"""Online training, as it is compared with offline training."""

PUBLISHED = {"fully_connected": 0.68, "fno": 0.16, "message_passing": 0.07}
"""Gain in accuracy of online over offline training, by network; Meyer et al., ICML 2023, arXiv:2306.16133."""

WORDS = {"equal_steps": "equal steps", "equal_solves": "equal solves", "equal_time": "equal wall time (modelled)"}
"""What the comparisons are called."""


def gains(found: Mapping[str, Sequence[TrainedSeed]]) -> dict[str, GainRow]:
    """Return the gain in mean test error of each online arm over offline, with the interval over the seeds.

    Parameters
    ----------
    found
        Results by arm, in the same order of seeds.
    """
    errors = {name: [one.test.mean for one in results] for name, results in found.items()}
    rows = {}
    for name in ARMS:
        one = gain(errors[name], errors["offline"])
        same = [a.first_weights == b.first_weights for a, b in zip(found[name], found["offline"], strict=True)]
        rows[name] = GainRow(
            **asdict(one),
            verdict=one.verdict,
            pairs=len(errors[name]),
            online=statistics.median(errors[name]),
            offline=statistics.median(errors["offline"]),
            same_first_weights=all(same),
        )
    return rows


def rows(record: ComparisonRecord) -> list[dict[str, str]]:
    """Return the table of a comparison, a row a comparison; errors are medians over the seeds."""
    published = PUBLISHED.get(record.recipe["surrogate"]["kind"])
    listed = []
    for name, found in record.gains.items():
        arm = record.arms[name]
        listed.append(
            {
                "at": WORDS[name],
                "simulations": f"{arm.samples} / {record.samples}",
                "steps": f"{arm.steps} / {record.steps}",
                "error online": f"{found.online:.4g}",
                "error offline": f"{found.offline:.4g}",
                "gain": f"{found.mean:+.1%}",
                f"{found.level:.0%} interval": f"{found.low:+.1%} … {found.high:+.1%}",
                "won": f"{found.won} of {found.pairs}",
                "published": f"{published:+.0%}" if published is not None and name == "equal_steps" else "–",
            }
        )
    return listed


def sentences(record: ComparisonRecord) -> list[str]:
    """Say of each comparison whether online training is better."""
    said = []
    for name, found in record.gains.items():
        interval = f"{found.mean:+.1%} [{found.low:+.1%}, {found.high:+.1%}] over {found.pairs} pairs"
        how = {
            "better": f"online is better: {interval}",
            "worse": f"online is NOT better but worse: {interval}",
            "undecided": f"online is NOT shown to be better: {interval}, and the interval holds 0",
        }[found.verdict]
        said.append(f"at {WORDS[name]} {how}")
    return said
