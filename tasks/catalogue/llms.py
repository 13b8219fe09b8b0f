"""The catalogue for language models: one Markdown file by the convention of llmstxt.org."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ritz.tasks.catalogue import dataset_page as dataset_pages
from ritz.tasks.catalogue import model_page as model_pages
from ritz.tasks.catalogue.addresses import collection, dataset_page, model_page
from ritz.tasks.catalogue.contents import Contents
from ritz.tasks.catalogue.snippets import open_dataset, open_plainly
from ritz.tasks.imprint import Imprint

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|!])")


def text(contents: Contents, title: str) -> bytes:
    """Return ``llms.txt``."""
    store = contents.store
    lines = [
        f"# {_plain(title)}",
        "",
        f"> Datasets of parametric partial differential equations and surrogate models of {_plain(store.url)}, kept "
        "by Ritz. Every solved sample has its true relative residual; datasets lie in Icechunk (Zarr 3).",
        "",
        "## Datasets",
        "",
        *(
            _entry(
                f"[{one.name}]({dataset_page(one.name)})",
                (dataset_pages.facts_line(one), f"STAC: {collection(one.name)}."),
                one.imprint,
            )
            for one in contents.datasets
        ),
        "",
        "## Models",
        "",
        *(
            _entry(
                f"[{one.entry.spec}]({model_page(one.entry.name, one.entry.version)})",
                (model_pages.facts_line(one),),
                one.imprint,
            )
            for one in contents.models
        ),
    ]
    for first in contents.datasets[:1]:
        name, version = first.name, first.newest.version
        for heading, snippet in (
            ("Open a dataset with Ritz", open_dataset(store, name, version)),
            ("Open a dataset with icechunk and xarray", open_plainly(store, name, version)),
        ):
            lines += ["", f"## {heading}", "", *(f"    {line}".rstrip() for line in snippet.splitlines())]
    return ("\n".join(lines) + "\n").encode()


def _entry(link: str, sentences: Iterable[str], imprint: Imprint) -> str:
    told = [_plain(one) for one in (imprint.description, *sentences) if one]
    told += [f"Licence: {_plain(imprint.licence or 'not stated')}."]
    more = (("Contact", imprint.contact), ("Cite", imprint.citation), ("From", imprint.url))
    told += [f"{name}: {_plain(one)}." for name, one in more if one]
    return f"- {link}: {' '.join(told)}"


def _plain(text: str) -> str:
    """Return a text in one line, in which nothing is Markdown."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
