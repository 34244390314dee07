"""The chain in PyTorch, in the form that the job names: eager, or compiled."""

import functools

import sample_numbers
import turns
from stacking import Stacking

job = turns.job()
turns.use_threads(job["threads"])

import torch  # noqa: E402

import torch_compiled  # noqa: E402
import torch_eager  # noqa: E402

torch.set_num_threads(job["threads"])
form = job["form"]
stacking = Stacking(job["shapes"], form.get("stacked", False))


def tensors(kind):
    return [torch.from_numpy(array).clone() for array in stacking.arrays(kind)]


def step_of(parameters, optimizer):
    """One step, in the form that is asked for."""
    if "compiled" in form:
        compile = functools.partial(torch.compile, **form.get("compile", {}))
        return getattr(torch_compiled, form["compiled"])(parameters, optimizer, compile)
    return getattr(torch_eager, form["step"])(parameters, optimizer, form["clips_with_foreach"])


parameters = [torch.nn.Parameter(tensor) for tensor in tensors(sample_numbers.PARAMETERS)]
gradients = tensors(sample_numbers.GRADIENTS)
for parameter, gradient in zip(parameters, gradients):
    parameter.grad = gradient.clone()
optimizer = torch.optim.AdamW(parameters, lr=0.001, weight_decay=0.01, **form["optimizer"])
step = step_of(parameters, optimizer)


def restore():
    """Puts gradients back, which the stages change in place."""
    torch._foreach_copy_([parameter.grad for parameter in parameters], gradients)


for _ in range(turns.STEPS_TO_CHECK):
    restore()
    step()
turns.answer(
    changeNorm=stacking.distance(
        [parameter.detach().numpy() for parameter in parameters], sample_numbers.PARAMETERS
    ),
    momentNorm=stacking.distance([optimizer.state[parameter]["exp_avg"].numpy() for parameter in parameters]),
    version=f"PyTorch {torch.__version__}",
)
turns.take(sum(parameter.numel() for parameter in parameters), step, restore)
