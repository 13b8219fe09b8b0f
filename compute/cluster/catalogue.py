from __future__ import annotations

from typing import Annotated

from compute.cluster.attach import Attach
from compute.cluster.local import Local
from compute.cluster.profile import Profile
from compute.kind import OneOf

AnyProfile = Annotated[Profile, OneOf(Profile, lambda: (Local, Attach))]
"""Field type: a profile of any kind."""
