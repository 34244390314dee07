"""The chain in Optax, in the form that the job names: one jitted function, as a rule with donated buffers."""

import os

import sample_numbers
import turns
from stacking import Stacking

job = turns.job()
turns.use_threads(job["threads"])
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jax.numpy  # noqa: E402
import numpy  # noqa: E402
import optax  # noqa: E402

form = job["form"]
stacking = Stacking(job["shapes"], form.get("stacked", False))


def device_arrays(kind):
    return [jax.numpy.array(array, copy=True) for array in stacking.arrays(kind)]


def kept_if_not_finite(before, chain):
    """Like optax.apply_if_finite, but asks the norm of what goes into `chain`, which clipping takes anyway."""

    def update(gradients, state, parameters):
        gradients, first_state = before.update(gradients, state[0], parameters)
        finite = jax.numpy.isfinite(optax.global_norm(gradients))
        updates, second_state = chain.update(gradients, state[1], parameters)
        updates, new_state = jax.tree.map(
            lambda new, old: jax.numpy.where(finite, new, old),
            (updates, (first_state, second_state)),
            (jax.tree.map(jax.numpy.zeros_like, updates), state),
        )
        return updates, new_state

    return optax.GradientTransformation(
        lambda parameters: (before.init(parameters), chain.init(parameters)), update
    )


def transformation():
    """The chain, in the form that is asked for."""
    before = optax.chain(optax.scale(1 / 65_536), optax.centralize())
    rest = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(learning_rate=0.001, weight_decay=0.01))
    if form.get("flattened"):
        rest = optax.flatten(rest)
    if form["check"] == "norm":
        return kept_if_not_finite(before, rest)
    return optax.apply_if_finite(optax.chain(before, rest), max_consecutive_errors=100)


parameters = device_arrays(sample_numbers.PARAMETERS)
gradients = device_arrays(sample_numbers.GRADIENTS)
chain = transformation()
state = chain.init(parameters)


def updated(parameters, state, gradients):
    updates, state = chain.update(gradients, state, parameters)
    return optax.apply_updates(parameters, updates), state


# What a donated buffer of gradients holds is lost: then each step is handed a copy, made outside of what is measured.
donated = form.get("donated", [0, 1])
update = jax.jit(updated, donate_argnums=donated)
handed = gradients


def restore():
    """Copies the gradients, if a step uses them up."""
    global handed
    if 2 in donated:
        handed = jax.block_until_ready([array.copy() for array in gradients])


def step():
    global parameters, state
    parameters, state = update(parameters, state, handed)
    jax.block_until_ready((parameters, state))


for _ in range(turns.STEPS_TO_CHECK):
    restore()
    step()
moments = optax.tree_utils.tree_get(state, "mu")
if form.get("flattened"):
    cuts = numpy.cumsum([array.size for array in parameters])[:-1]
    moments = numpy.split(numpy.asarray(moments), cuts)
turns.answer(
    changeNorm=stacking.distance([numpy.asarray(array) for array in parameters], sample_numbers.PARAMETERS),
    momentNorm=stacking.distance([numpy.asarray(array) for array in moments]),
    version=f"Optax {optax.__version__}, JAX {jax.__version__}",
)
turns.take(sum(array.size for array in parameters), step, restore)
