from __future__ import annotations

from typing import Annotated

from ritz.compute.cluster.attach import Attach
from ritz.compute.cluster.batch.pbs import Pbs
from ritz.compute.cluster.batch.slurm import Slurm
from ritz.compute.cluster.local import Local
from ritz.compute.cluster.pods.kubernetes import Kubernetes
from ritz.compute.cluster.profile import Profile
from ritz.compute.kind import OneOf

AnyProfile = Annotated[Profile, OneOf(Profile, lambda: (Local, Attach, Slurm, Pbs, Kubernetes))]
"""Field type: a profile of any kind."""
