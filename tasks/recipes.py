from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter

from ritz.compute.cluster.catalogue import AnyProfile
from ritz.compute.cluster.profile import Profile
from ritz.compute.kind import OneOf
from ritz.storage.wording import meant, nearest, shown
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.overrides import applied
from ritz.tasks.parsing.plain import RecipeDocument
from ritz.tasks.parsing.plain_yaml import parse, read
from ritz.tasks.parsing.validation import validated
from ritz.tasks.pipeline import STAGES, Pipeline


def names(folder: str = "recipes") -> list[str]:
    """Return the names of the shipped recipes (or ``profiles``)."""
    found = (files("ritz.deployments") / folder).iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in found if entry.name.endswith(".yaml"))


def is_recipe(name: str) -> bool:
    """Return whether a name is that of a shipped recipe or of a file, and not of something in a store."""
    return name in names() or _is_path(name)


def load(
    recipe: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    stages: Collection[str] = STAGES,
    store_url: str | None = None,
) -> Pipeline:
    """Build the `Pipeline` of a recipe; the one way for the command line, triggers and REST alike.

    Parameters
    ----------
    recipe
        Name of a shipped recipe, path of a YAML file, or ``NAME@VERSION`` for the one that made a dataset of the store.
    overrides
        Dotted path of a field → value, e.g. ``{"problem.shape": [32, 32]}``.
    stages
        What will be run, of `ritz.tasks.pipeline.STAGES`: what the others ask of the samples does not count.
    store_url
        Where datasets lie.

    Raises
    ------
    RecipeError
        For an unknown recipe or key, a wrong type, a value out of its limits: with all faults there are.
    ritz.storage.errors.Unknown
        If there is no such dataset or version.
    """
    if "@" in recipe and store_url is not None and not _is_path(recipe):
        document, what = _recorded(recipe, store_url), f"recipe of dataset {shown(recipe)}"
    else:
        document, what = _read("recipes", recipe, store_url), f"recipe {shown(recipe)}"
    document, wrong = applied(document, overrides or {}, Pipeline)
    pipeline: Pipeline = validated(
        what, TypeAdapter(Pipeline), Pipeline, document, lambda pipeline: pipeline.unmet(stages), wrong
    )
    return pipeline


def load_profile(profile: str) -> Profile:
    """Build the cluster profile ``NAME``, ``PATH.yaml``, or either followed by ``:ADDRESS`` of a scheduler.

    Raises
    ------
    RecipeError
        For an unknown profile or bad fields.
    """
    name, colon, address = profile.partition(":")
    document = _read("profiles", name)
    if colon:
        document["address"] = address
    try:
        made: Profile = validated(f"profile {shown(profile)}", TypeAdapter(AnyProfile), _PROFILES, document)
    except RecipeError as error:
        if name == "attach" and not address:
            expected = "expected `attach:ADDRESS`, e.g. --profile attach:tcp://127.0.0.1:8786"
            raise RecipeError(f"{error}; {expected}") from None
        raise
    return made


def _read(folder: str, name: str, store_url: str | None = None) -> RecipeDocument:
    what = f"{folder.removesuffix('s')} {shown(name)}"
    shipped = names(folder)
    if name in shipped:
        # What is shipped is YAML.
        text = (files("ritz.deployments") / folder / f"{name}.yaml").read_text(encoding="utf-8")
        document = parse(text, what)
    elif _is_path(name):
        path = Path(name)
        try:
            path = path.expanduser()
        except RuntimeError as error:
            raise RecipeError(f"{what}: no such file: {error}") from None
        try:
            document = read(path, what)
        except RecipeError as error:
            stem = path.name.removesuffix(path.suffix)
            near = nearest(stem, shipped)
            # The file may lie elsewhere, or the shipped one be meant.
            hint = f"; did you mean the shipped {' or '.join(near)}?" if near and str(error).endswith("file") else ""
            raise RecipeError(f"{error}{hint}") from None
    else:
        known = f"expected one of {', '.join(shipped)}, or the path of a .yaml file"
        if "@" in name:
            known += ", or NAME@VERSION of a dataset where a store is given"
        elif store_url is not None and _in_store(name, store_url):
            known = f"the store has a dataset of this name: {name}@latest is the recipe that made it"
        raise RecipeError(f"{what} is unknown; {known}{meant(name, shipped)}")
    if not isinstance(document, dict):
        raise RecipeError(f"{what}: expected a mapping of fields, got {type(document).__name__}")
    return document


def _is_path(name: str) -> bool:
    """Return whether a recipe or a profile is given as a path."""
    if name.lower().endswith((".yaml", ".yml")) or name.startswith(("~", "/", "./")):
        return True
    # A file without an ending, and a folder: what is wrong with it is then said.
    return bool(name) and len(name) < 4096 and "\0" not in name and os.path.lexists(name)


def _in_store(name: str, store_url: str) -> bool:
    from ritz.storage.store import Store

    return bool(_LIKE_A_NAME.fullmatch(name)) and Store(store_url).exists(f"datasets/{name}")


def _recorded(spec: str, store_url: str) -> RecipeDocument:
    """Return the recipe that made a version of a dataset."""
    # The engine of the store takes a second to load, and most recipes are files.
    from ritz.storage.store import Store
    from ritz.tasks.parsing.recorded_problem import recipe_of

    return dict(recipe_of(Store(store_url), spec))


_LIKE_A_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_PROFILES = next(item for item in get_args(AnyProfile) if isinstance(item, OneOf))
