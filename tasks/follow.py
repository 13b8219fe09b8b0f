from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from compute.cluster.cluster import Cluster
from tasks.progress import Reporter

POLL = 0.2


def follow(
    cluster: Cluster,
    report: Reporter,
    topic: str,
    function: Callable[[Any], Any],
    job: Any,
    check: Callable[[], None] = lambda: None,
) -> Any:
    """Do a job on the train worker, report the steps that it tells about ``topic``, and return its result.

    Parameters
    ----------
    check
        Called all the while; what it raises ends the job.

    Raises
    ------
    WorkersLost
        If the train worker died again and again.
    """
    # The newest state; it comes in a thread of the cluster's client, where no stage is known.
    told: deque[dict[str, Any]] = deque([{"step": 0, "loss": None}], maxlen=1)
    reported = -1

    def show() -> None:
        nonlocal reported
        state = told[0]
        if state["step"] > reported:
            reported = state["step"]
            report(reported, "" if state["loss"] is None else f"loss {state['loss']:.3g}")

    with cluster.listen(topic, told.append):
        future = cluster.submit("train", function, job)
        try:
            while not future.done():
                check()
                show()
                time.sleep(POLL)
        except BaseException:
            future.cancel()
            raise
        result = cluster.result(future)
    show()
    return result
