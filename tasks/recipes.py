from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import TypeAdapter, ValidationError

from compute.cluster.profile import AnyProfile, Profile
from compute.kind import OneOf
from tasks.errors import RecipeError
from tasks.pipeline import Pipeline


def names(folder: str = "recipes") -> list[str]:
    """Return the names of the shipped recipes (or ``profiles``)."""
    found = (files("deployments") / folder).iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in found if entry.name.endswith(".yaml"))


def load(recipe: str, overrides: Mapping[str, Any] | None = None) -> Pipeline:
    """Build the `Pipeline` of a recipe; the one way for the command line, triggers and REST alike.

    Parameters
    ----------
    recipe
        Name of a shipped recipe, or path of a YAML file.
    overrides
        Dotted path of a field → value, e.g. ``{"problem.shape": [32, 32]}``.

    Raises
    ------
    RecipeError
        For an unknown recipe or key, a wrong type, a value out of its limits.
    """
    document = _read("recipes", recipe)
    for path, value in (overrides or {}).items():
        _set(document, path, value)
    try:
        return Pipeline.model_validate(document)
    except ValidationError as error:
        raise RecipeError(_explain(f"recipe {recipe!r}", Pipeline, document, error)) from None


def load_profile(profile: str) -> Profile:
    """Build the cluster profile ``NAME``, ``PATH.yaml``, or either followed by ``:ADDRESS`` of a scheduler.

    Raises
    ------
    RecipeError
        For an unknown profile or a bad field.
    """
    name, colon, address = profile.partition(":")
    document = _read("profiles", name)
    if colon:
        document["address"] = address
    try:
        return TypeAdapter(AnyProfile).validate_python(document)
    except ValidationError as error:
        text = _explain(f"profile {profile!r}", _PROFILES, document, error)
        if name == "attach" and not address:
            text += "; expected `attach:ADDRESS`, e.g. --profile attach:tcp://127.0.0.1:8786"
        raise RecipeError(text) from None


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """Turn ``["problem.shape=[32,32]", ...]`` into overrides; values are YAML.

    Raises
    ------
    RecipeError
        If one is not ``path=value``.
    """
    overrides = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise RecipeError(f"--set {assignment!r}: expected PATH=VALUE, e.g. --set problem.shape=[32,32]")
        try:
            overrides[path] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RecipeError(f"--set {assignment!r}: the value is not YAML ({_place(error)})") from None
    return overrides


def assignments(overrides: Mapping[str, Any] | None) -> list[str]:
    """Turn overrides into the words of a command that has them; the reverse of `parse_assignments`."""
    return [word for path, value in (overrides or {}).items() for word in ("--set", f"{path}={json.dumps(value)}")]


def _read(folder: str, name: str) -> dict[str, Any]:
    what = folder.removesuffix("s")
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise RecipeError(f"{what} {name!r}: no such file")
        text = path.read_text(encoding="utf-8", errors="replace")
    elif name in names(folder):
        text = (files("deployments") / folder / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        raise RecipeError(
            f"{what} {name!r} is unknown; expected one of {', '.join(names(folder))}, or the path of a .yaml file"
        )
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{what} {name!r} is not YAML: {_place(error)}") from None
    if not isinstance(document, dict):
        raise RecipeError(f"{what} {name!r}: expected a mapping of fields, got {type(document).__name__}")
    return document


def _place(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem}, line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
    # Bytes that are no text.
    return str(error).replace("\n", " ")


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    place = document
    for key in parents:
        inner = place.get(key)
        if isinstance(inner, str):
            inner = {"kind": inner}
        elif inner is None:
            inner = {}
        elif not isinstance(inner, dict):
            raise RecipeError(f"--set {path}: {key!r} holds {inner!r}, which has no fields")
        place[key] = inner
        place = inner
    place[last] = value


_PROFILES = next(item for item in get_args(AnyProfile) if isinstance(item, OneOf))

_WORDS = {
    "missing": "this field is required",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping of fields",
    "model_type": "expected a mapping of fields",
    "model_attributes_type": "expected a mapping of fields",
    "union_tag_not_found": "the field `kind` is required",
}
"""What the common problems are called, where pydantic speaks of Python."""


def _explain(what: str, root: Any, document: dict[str, Any], error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    # A list with a bad item is also reported as a bad list.
    places = {problem["loc"][:end] for problem in problems for end in range(len(problem["loc"]))}
    lines = []
    for problem in problems:
        if problem["loc"] in places:
            continue
        message = _WORDS.get(problem["type"], problem["msg"].removeprefix("Value error, "))
        if problem["type"] == "extra_forbidden":
            known = _known(root, problem["loc"][:-1])
            message = "there is no such field" + (f", expected one of {known}" if known else "")
        elif problem["type"] == "union_tag_invalid":
            context = problem["ctx"]
            message = f"there is no kind {context['tag']!r}, expected one of {context['expected_tags']}"
        value = problem.get("input")
        shown = "" if isinstance(value, dict) or problem["type"] == "missing" else f" (got {value!r})"
        field = _field(document, problem["loc"])
        lines.append(f"{field}: {message}{shown}" if field else message)
    return f"{what}: " + "; ".join(lines) if len(lines) == 1 else f"{what}:\n  " + "\n  ".join(lines)


def _known(model: Any, place: tuple[int | str, ...]) -> str:
    """Return the names of the fields at a place below ``model``, a class or `OneOf`."""
    for part in place:
        if isinstance(part, int):
            continue
        if isinstance(model, OneOf):
            model = model.kinds()[part]
            continue
        field = next(field for name, field in model.model_fields.items() if part in (name, field.alias))
        inner = (get_args(field.annotation) or (field.annotation,))[0]
        choices = (*field.metadata, *getattr(inner, "__metadata__", ()))
        model = next((choice for choice in choices if isinstance(choice, OneOf)), inner)
        if not isinstance(model, OneOf) and not hasattr(model, "model_fields"):
            return ""
    return ", ".join(field.alias or name for name, field in model.model_fields.items())


def _field(document: Any, place: tuple[int | str, ...]) -> str:
    """Return the dotted path of a field, without the kinds that pydantic puts between the names."""
    path, here = [], document
    for part in place:
        if part == (here.get("kind") if isinstance(here, dict) else here):
            continue
        path.append(str(part))
        if isinstance(here, dict):
            here = here.get(part)
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            here = here[part]
    return ".".join(path)
