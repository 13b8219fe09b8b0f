"""What became of a model at its gate."""

from __future__ import annotations

from typing import Literal

from ritz.compute.document import Document, Json

Release = Literal["released", "missed", "not judged"]
"""What became of a model at its gate; "not judged" where the gate sets no bound."""

RELEASES: dict[Release, str] = {"released": "released", "missed": "not released", "not judged": "not judged"}
"""How it is said."""


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
        bounds = [bound for bound in recipe.get("gate", {}).values() if bound]
        return "missed" if not self.released else "released" if bounds else "not judged"
