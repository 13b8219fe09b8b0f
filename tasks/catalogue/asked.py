from __future__ import annotations

import logging

log = logging.getLogger("ritz")


def write_asked(to: str | None, store_url: str) -> None:
    """Write the catalogue that a recipe names, where it names one; see `ritz.tasks.catalogue.worker.catalogue`.

    What the recipe asked for besides is done and recorded by then: where this fails, the same command writes the
    catalogue alone.
    """
    if to is None:
        return
    # It draws figures and asks models: a run without a catalogue loads nothing of that here.
    from ritz.tasks.catalogue.worker import catalogue

    log.info("catalogue: %s", catalogue(store_url, to).index)
