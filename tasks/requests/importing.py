"""The request to import files of samples that Ritz did not solve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter

from ritz.compute.cluster.profile import Profile
from ritz.tasks.importing.mapping import Import
from ritz.tasks.requests.request import Request

if TYPE_CHECKING:
    from ritz.tasks.importing.plan import Plan
    from ritz.tasks.importing.result import ImportedDataset


@dataclass(frozen=True)
class ImportFiles(Request["Plan", "ImportedDataset"]):
    """Import the files that a mapping names; done is the version that has all of them."""

    roles = ("solve",)
    mapping: Import
    folder: Path

    @classmethod
    def read(cls, source: str, overrides: Mapping[str, Any] | None = None) -> Self:
        """Read a mapping from a YAML file, whose folder is that of its paths.

        Raises
        ------
        ritz.tasks.errors.RecipeError
            If there is no such file or it is none, with all faults there are.
        """
        from ritz.storage.wording import shown
        from ritz.tasks.errors import RecipeError
        from ritz.tasks.parsing.overrides import applied
        from ritz.tasks.parsing.plain_yaml import read
        from ritz.tasks.parsing.validation import validated

        what = f"mapping {shown(source)}"
        path = Path(source).expanduser()
        document = read(path, what)
        if not isinstance(document, dict):
            raise RecipeError(f"{what}: expected a mapping of fields, got {type(document).__name__}")
        document, wrong = applied(document, overrides or {}, Import)
        mapping: Import = validated(what, TypeAdapter(Import), Import, document, said=wrong)
        return cls(mapping, path.absolute().parent)

    def planned(self, store: str) -> Plan:
        """Return the files, and what of them is imported already."""
        from ritz.storage.store import Store
        from ritz.tasks.importing.plan import plan

        return plan(self.mapping, self.folder, Store(store))

    def finished(self, work: Plan, store: str) -> ImportedDataset | None:
        """Return what importing would, where every file is imported and published."""
        from ritz.tasks.importing.result import complete

        return complete(work, store)

    def check(self, work: Plan, store: str, profile: Profile) -> None:
        """See `Request.check`."""
        from ritz.storage.store import Store
        from ritz.tasks.importing.first import resolved_first

        profile.check(self.roles)
        resolved_first(work)
        Store(store).check_writable()
