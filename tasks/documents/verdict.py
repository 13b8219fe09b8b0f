"""What became of a model at its gate."""

from __future__ import annotations

from typing import Literal, Self

from ritz.compute.document import Document, Json

Release = Literal["released", "missed", "not judged"]
"""What became of a model at its gate; "not judged" where the gate sets no bound."""

RELEASES: dict[Release, str] = {"released": "released", "missed": "not released", "not judged": "not judged"}
"""How it is said."""


def release(*, judged: bool, missed: bool) -> Release:
    """Return what becomes of a model; ``judged`` where its gate sets a bound."""
    return "missed" if missed else "released" if judged else "not judged"


class Verdict(Document):
    """What a gate says of a model.

    Attributes
    ----------
    release
        None in documents that were written before it was kept; `release_by` then says it.
    released
        Whether no bound was missed.
    missed
        A sentence for each bound that was.
    """

    release: Release | None = None
    released: bool
    missed: tuple[str, ...] = ()

    def release_by(self, recipe: Json) -> Release:
        """Return what became of the model; where that was not kept, by the gate of its recipe."""
        if self.release is not None:
            return self.release
        return release(judged=any(recipe.get("gate", {}).values()), missed=not self.released)

    def complete(self, recipe: Json) -> Self:
        """Return it with what became of the model, also where that was not kept; see `release_by`."""
        return self.changed(release=self.release_by(recipe))
