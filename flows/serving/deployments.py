"""The deployments of a server: what each is called, what it does, when, and what a caller may give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType
from prefect.schedules import Cron, Interval
from prefect.schedules import Schedule as PrefectSchedule
from prefect.utilities.callables import ParameterSchema

from ritz.flows.naming import recipe_tags
from ritz.flows.served import NAME, run_served
from ritz.flows.serving.binding import Binding
from ritz.flows.serving.rules import Grow, Rule
from ritz.tasks.errors import RecipeError
from ritz.tasks.parsing.schedule import Schedule
from ritz.tasks.pipeline import Pipeline
from ritz.tasks.recipes import load


@dataclass(frozen=True)
class Served:
    """A deployment that is served here."""

    name: str
    pipeline: Pipeline
    binding: Binding
    rule: Rule | None = None

    def line(self) -> str:
        """Return its name, and when it runs by itself."""
        schedule = self.pipeline.schedule if self.rule is None else None
        return f"{NAME}/{self.name}" + (f" [{schedule.text()}]" if schedule else "")


def of_recipes(recipes: Sequence[str], store: str, profile: str) -> list[Served]:
    """Return the deployments of recipes.

    Raises
    ------
    RecipeError
        If two recipes would get the same.
    """
    pipelines = {recipe: load(recipe) for recipe in recipes}
    named = deployment_names({recipe: pipeline.name for recipe, pipeline in pipelines.items()})
    return [Served(named[recipe], pipeline, Binding(recipe, store, profile)) for recipe, pipeline in pipelines.items()]


def of_rules(rules: Sequence[Rule], store: str, profile: str) -> list[Served]:
    """Return the deployments that rules start: ``RECIPE+train`` and ``RECIPE+grow``.

    Raises
    ------
    RecipeError
        If two rules would get the same, or a rule does not go with its recipe.
    """
    served: dict[str, Served] = {}
    for rule in rules:
        pipeline = load(rule.recipe, stages=())
        name = f"{pipeline.name}+{rule.kind}"
        if name in served:
            raise RecipeError(
                f"rules: two rules would both be served as {NAME}/{name}: {served[name].binding.recipe!r} and "
                f"{rule.recipe!r}; expected one rule of the kind {rule.kind!r} per `name` of a recipe"
            )
        binding = Binding(rule.recipe, store, profile, "train")
        if isinstance(rule, Grow):
            if rule.by % pipeline.data.shard:
                raise RecipeError(
                    f"rules: by is {rule.by} for recipe {rule.recipe!r}; expected a multiple of data.shard, "
                    f"{pipeline.data.shard}"
                )
            binding = Binding(rule.recipe, store, profile, "grow", rule.by, rule.at_most)
        served[name] = Served(name, pipeline, binding, rule)
    return list(served.values())


class _Closed(ParameterSchema):
    """Schema of parameters by which the server refuses those that it does not name."""

    additionalProperties: Literal[False] = False  # noqa: N815


def to_deployment(served: Served) -> Any:
    """Return a deployment as Prefect registers it."""
    pipeline, recipe = served.pipeline, served.binding.recipe
    schedule = pipeline.schedule if served.rule is None else None
    about = "dataset, surrogate and its measured error bars"
    deployment: Any = run_served.to_deployment(
        served.name,
        schedule=_kept(schedule) if schedule else None,
        parameters={"overrides": {}} if served.rule is None else {},
        # The lock of the dataset would keep a second run out too, after a process was started for it.
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        tags=recipe_tags(pipeline),
        entrypoint_type=EntrypointType.MODULE_PATH,
        # By this a file is told from another one of its name.
        version=pipeline.identity,
        description=f"Recipe {recipe}: {about if served.rule is None else served.rule.text(pipeline.name)}.",
    )
    # What a caller may give, and must: of what the flow takes, that which the deployment is about.
    given, required = ("overrides", []) if served.rule is None else ("dataset", ["dataset"])
    known = dict(deployment._parameter_openapi_schema)
    properties = {given: known["properties"][given] if served.rule is None else {"type": "string", "title": "dataset"}}
    known.update(properties=properties, required=required)
    deployment._parameter_openapi_schema = _Closed(**known, additionalProperties=False)
    return deployment


def _kept(schedule: Schedule) -> PrefectSchedule:
    """Return a schedule as Prefect keeps it."""
    if schedule.cron is not None:
        return Cron(schedule.cron, timezone=schedule.timezone)
    assert schedule.every is not None
    return Interval(schedule.every, anchor_date=schedule.anchor, timezone=schedule.timezone)


def deployment_names(recipes: Mapping[str, str]) -> dict[str, str]:
    """Return the names of the deployments of recipes, by name or path of the recipe.

    A deployment bears the `name` of its recipe. Where several that are served together have one `name`, they bear
    those of their files.

    Parameters
    ----------
    recipes
        The `name` of each recipe, by its name or path.

    Raises
    ------
    RecipeError
        If two would get the same.
    """
    shared = Counter(recipes.values())
    names = {recipe: name if shared[name] == 1 else _stem(recipe) for recipe, name in recipes.items()}
    by_name: dict[str, str] = {}
    for recipe, name in names.items():
        if name in by_name:
            raise RecipeError(
                f"recipes {by_name[name]!r} and {recipe!r} would both be served as {NAME}/{name}; "
                "rename one of the files"
            )
        by_name[name] = recipe
    return names


def _stem(recipe: str) -> str:
    return recipe.removesuffix(".yaml").removesuffix(".yml").rpartition("/")[2]
