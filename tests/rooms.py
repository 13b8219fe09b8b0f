"""The rooms of the house, by the names that nothing may be imported under."""

from __future__ import annotations

ROOMS = ("deployments", "flows", "tasks", "compute", "storage")
