from __future__ import annotations


class ClusterError(ValueError):
    """No cluster as the profile describes it could be reached, or what was reached is gone."""
