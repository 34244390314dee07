"""The chain in Optax: one jitted function, with parameters and state donated to it."""

import functools
import os

import sample_numbers
import turns

job = turns.job()
turns.use_threads(job["threads"])
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jax.numpy
import numpy  # noqa: E402
import optax  # noqa: E402


def device_arrays(kind):
    return [jax.numpy.array(array, copy=True) for array in sample_numbers.arrays(job["shapes"], kind)]


parameters = device_arrays(sample_numbers.PARAMETERS)
gradients = device_arrays(sample_numbers.GRADIENTS)
chain = optax.apply_if_finite(
    optax.chain(
        optax.scale(1 / 65_536),
        optax.centralize(),
        optax.clip_by_global_norm(1.0),
        optax.adamw(learning_rate=0.001, weight_decay=0.01),
    ),
    max_consecutive_errors=100,
)
state = chain.init(parameters)


@functools.partial(jax.jit, donate_argnums=(0, 1))
def update(parameters, state, gradients):
    updates, state = chain.update(gradients, state, parameters)
    return optax.apply_updates(parameters, updates), state


def step():
    global parameters, state
    parameters, state = update(parameters, state, gradients)
    jax.block_until_ready((parameters, state))


for _ in range(turns.STEPS_TO_CHECK):
    step()
moments = optax.tree_utils.tree_get(state, "mu")
turns.answer(
    changeNorm=sample_numbers.distance(map(numpy.asarray, parameters), sample_numbers.PARAMETERS),
    momentNorm=sample_numbers.distance(map(numpy.asarray, moments)),
    version=f"Optax {optax.__version__}, JAX {jax.__version__}",
)
turns.take(sum(array.size for array in parameters), job["seconds"], step)
