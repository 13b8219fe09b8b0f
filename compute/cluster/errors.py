from __future__ import annotations


class ClusterError(ValueError):
    """The cluster that the profile describes could not be reached, or its connection is lost."""
