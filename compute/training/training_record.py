"""What a training notes of itself, as it is kept."""

from __future__ import annotations

from ritz.compute.document import DocumentPart, Number

EXACT = ("torch", "numpy", "processor", "capability", "device", "threads", "pardiso")
"""What has to be the same for the same bits: attributes of a `TrainingMachine`."""


class TrainingMachine(DocumentPart):
    """On what some steps of a training were done, as far as their bits depend on it.

    Attributes
    ----------
    first
        Number of the first of the steps, from 0; the last is before the first one of the next machine.
    torch, numpy
        Versions; None, as all but the device, where the release that recorded it did not know them.
    processor
        Its maker, family and model: libraries have other kernels for each, with the same vector instructions too.
    capability
        Vector instructions of the processor that torch uses.
    device
        Where the model lies.
    threads
        Of torch.
    pardiso
        Whether PARDISO was there before torch: its MKL then takes the place of torch's own, and rounds otherwise.
    """

    first: int = 0
    torch: str | None = None
    numpy: str | None = None
    processor: str | None = None
    capability: str | None = None
    device: str
    threads: int | None = None
    pardiso: bool | None = None

    def differing(self, other: TrainingMachine) -> tuple[str, ...]:
        """Return what of `EXACT` is not the same in both."""
        return tuple(name for name in EXACT if getattr(self, name) != getattr(other, name))

    def since(self, step: int) -> TrainingMachine:
        """Return the same machine for the steps from number ``step`` on."""
        return TrainingMachine.model_validate({"first": step} | self.entries())


class BestValidation(DocumentPart):
    """The validation whose weights early stopping keeps: after which step, and its error."""

    step: int
    error: Number
