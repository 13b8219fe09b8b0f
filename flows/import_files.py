from __future__ import annotations

from prefect import flow

from ritz.tasks.driver.signals import stoppable
from ritz.tasks.importing.importing import import_files as stage
from ritz.tasks.importing.result import ImportedDataset
from ritz.tasks.preparing import prepare
from ritz.tasks.requests.importing import ImportFiles


@flow(name="import")
@stoppable
def import_files(
    mapping: str, overrides: dict[str, object] | None, store: str, profile: str = "local"
) -> ImportedDataset:
    """Import files of samples that Ritz did not solve: what ``ritz import`` starts.

    Parameters
    ----------
    mapping
        Path of the YAML that says what the files hold; see `ritz.tasks.importing.mapping.Import`.

    Raises
    ------
    ritz.tasks.errors.RecipeError
        For bad input, before any work.
    ritz.storage.errors.StorageError
        If a file cannot be read or is not as the first one, or the store cannot be written.
    """
    prepared = prepare(ImportFiles.read(mapping, overrides), store, profile)
    if prepared.done is not None:
        return prepared.done
    with prepared.profile.open(ImportFiles.roles) as cluster:
        found: ImportedDataset = stage(prepared.work, prepared.store, cluster)
    return found
