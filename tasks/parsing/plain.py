"""What a recipe and its changes are before anything has checked them: any value at any place."""

from __future__ import annotations

from typing import Any

RecipeDocument = dict[str, Any]
"""Fields of a recipe as YAML and JSON have them."""

Overrides = dict[str, Any]
"""Dotted path of a field → its new value."""
