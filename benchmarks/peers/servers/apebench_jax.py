"""Trains emulators with APEBench (see `wire`); needs apebench, and JAX for the processor.

A request names the ``scenario``, a class of ``apebench.scenarios.difficulty``, with its ``settings``. What is asked
for in ``method``: ``data`` returns the trajectories to train on and then those to test on, float64; ``train`` trains
``network`` from a ``seed`` and returns its errors, one per step of the test; ``measure`` returns those of the rollouts
``(test sample, step, point)`` in the request. An error is APEBench's mean_nRMSE of one step. All states are divided by
one number, the root mean square of those to train on.
"""

from __future__ import annotations

import time
from functools import cache
from importlib.metadata import version

import apebench
import jax
import jax.numpy as jnp
import numpy as np
import wire


@cache
def made(name, settings):
    """Return a scenario whose states are of about unit size."""
    kind = getattr(apebench.scenarios.difficulty, name)
    scale = float(jnp.sqrt(jnp.mean(kind(**dict(settings)).get_train_data() ** 2)))

    class Scaled(kind):
        """The same, with its states divided by the scale."""

        def get_train_data(self):
            return super().get_train_data() / scale

        def get_test_data(self):
            return super().get_test_data() / scale

    return Scaled(**dict(settings))


def trained(scenario, network, seed):
    """Train one network as a call of the scenario does; return it and the seconds, those of compilation included."""
    first, shuffle = jax.random.split(jax.random.PRNGKey(seed), 2)
    stepper = scenario.get_neural_stepper(task_config="predict", network_config=network, key=first)
    trainer = scenario.get_trainer(train_config="one")
    start = time.process_time()
    stepper, _, _ = trainer(stepper, shuffle, record_loss_every=scenario.record_loss_every)
    jax.block_until_ready(jax.tree_util.tree_leaves(stepper))
    return stepper, time.process_time() - start


def solve(request, arrays):
    """Answer a request."""
    scenario = made(request["scenario"], tuple(sorted(request["settings"].items())))
    if request["method"] == "data":
        parts = [np.asarray(one) for one in (scenario.get_train_data(), scenario.get_test_data())]
        return {}, np.concatenate([one.ravel() for one in parts])
    if request["method"] == "measure":
        test = scenario.get_test_data()[:, 1:]
        rollout = jnp.asarray(arrays[0].reshape(test.shape), dtype=test.dtype)
        return {}, np.asarray(scenario.perform_tests_on_rollout(rollout)["mean_nRMSE"])
    stepper, seconds = trained(scenario, request["network"], request["seed"])
    errors = np.asarray(scenario.perform_test_rollout(stepper))
    return {"seconds": seconds, "parameters": scenario.get_parameter_count(request["network"])}, errors


if __name__ == "__main__":
    names = ("apebench", "exponax", "pdequinox", "trainax", "jax")
    wire.serve({name: version(name) for name in names}, solve)
