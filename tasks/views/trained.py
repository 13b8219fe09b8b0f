"""What a training came to, in a table."""

from __future__ import annotations

from ritz.tasks.documents.training import TrainingSummary


def rows(found: TrainingSummary) -> list[dict[str, str]]:
    """Return what was done, a row each."""
    machines = ", ".join(dict.fromkeys(one.device for one in found.machines)) or "-"
    table = {
        "gradient steps": f"{found.steps:,}",
        "training samples": f"{found.samples_received:,}, {found.unseen} of them in no step",
        "parameters": f"{found.parameters:,}",
        "seconds": f"{found.seconds:.1f} in steps and validation, {found.waited:.1f} waiting",
        "device": machines,
    }
    if found.stopped is not None:
        table["stopped early"] = f"after step {found.stopped:,}"
    if found.best is not None:
        table["kept"] = f"the weights of step {found.best.step:,}, validation error {found.best.error:.3g}"
    if found.members:
        table["ensemble"] = found.differences()
    return [{"training": name, "": value} for name, value in table.items()]
