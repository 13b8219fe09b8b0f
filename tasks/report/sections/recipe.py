from __future__ import annotations

from markupsafe import Markup

from ritz.tasks.report.html import Pictures, code
from ritz.tasks.report.material import RunFacts
from ritz.tasks.report.section import Section


class Recipe(Section[RunFacts]):
    """What was asked for."""

    name = "recipe"
    title = "Recipe"
    link = "Recipe"
    place = 80
    needs = ("recipe",)
    absent = "Recipe: not measured in this run."

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the recipe as YAML."""
        import yaml

        text = yaml.safe_dump(
            dict(facts.recorded.recipe), sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
        )
        return code(str(text))


class Command(Section[RunFacts]):
    """What was typed."""

    name = "command"
    title = "To make this run again"
    under = "recipe"
    place = 10
    needs = ("command",)
    absent = "The command was not recorded in this run."

    def html(self, facts: RunFacts, pictures: Pictures) -> Markup:
        """Return the command."""
        return code(facts.recorded.command or "")
