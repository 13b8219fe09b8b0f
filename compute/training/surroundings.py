from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from ritz.compute.problems.problem import Problem
from ritz.compute.surrogates.model import Model
from ritz.compute.training.ranks.group import Alone, Group


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes
    ----------
    step, steps
        Steps done, and to be done.
    received, samples
        Training samples received here, and expected at all ranks.
    loss, validate
        Of the newest record of the curve that has one; None until there is one.
    """

    step: int
    steps: int
    received: int
    samples: int
    loss: float | None
    validate: float | None

    def document(self) -> dict[str, int | float | None]:
        """Return it as JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Surroundings:
    """What a training has around it, the same for all kinds.

    Attributes
    ----------
    problem
        For the losses that need its equations.
    device
        ``"cpu"``, ``"cuda"`` or ``"mps"``: where the model and the batches lie.
    load, save
        Read and write the checkpoint; ``save`` must be atomic.
    progress
        Called after every step and block.
    save_every_s
        Seconds between checkpoints; one more is written at the end.
    start
        Trained model whose weights and normalisation a training by steps begins with, as one on cheap samples for one
        on dear ones; None for weights drawn anew and a normalisation by the samples.
    group
        The ranks that train together. All read one checkpoint, and the first of them writes it.
    """

    problem: Problem | None = None
    device: str = "cpu"
    load: Callable[[], bytes | None] = lambda: None
    save: Callable[[bytes], None] = lambda _: None
    progress: Callable[[Progress], None] = lambda _: None
    save_every_s: float = 30.0
    start: Model | None = None
    group: Group = field(default_factory=Alone)
