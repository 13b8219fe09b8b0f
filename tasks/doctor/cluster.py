"""The cluster of a profile: whether it answers, and what it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ritz.compute.cluster.errors import ClusterError
from ritz.tasks.doctor.finding import Finding
from ritz.tasks.errors import RecipeError
from ritz.tasks.recipes import load_profile

if TYPE_CHECKING:
    from ritz.compute.cluster.profile import Profile


def cluster(name: str) -> Iterator[Finding]:
    """Look whether the cluster of a profile could be used, and start nothing on it."""
    from ritz.compute.cluster.batch.queue import Unanswered

    try:
        profile = load_profile(name)
        profile.check()
        said = _had(profile)
    except (ClusterError, RecipeError, Unanswered) as error:
        yield Finding(subject="cluster", state="fail", said=f"profile {name}: {error}", todo="see docs/cluster.md")
        return
    yield Finding(subject="cluster", state="ok", said=f"profile {name}: {said}")


def _had(profile: Profile) -> str:
    from ritz.compute.cluster.batch.batch import Batch

    if isinstance(profile, Batch):
        system = profile.system()
        return f"{system.name} answers; {len(system.states())} jobs of yours wait or run"
    limits = ", ".join(f"{role} {limit / 1e9:.3g} GB" for role, limit in sorted(profile.limits().items()))
    return f"usable{f'; memory limits: {limits}' if limits else ''}"
