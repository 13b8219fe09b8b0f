from __future__ import annotations


class RecipeError(ValueError):
    """What the user asked for makes no sense; the message names the field, the value and what was expected."""


class InputError(ValueError):
    """A file of inputs does not fit the model; the message names the variable and what was expected."""
