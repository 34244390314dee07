"""Clipping by the global norm and one optimizer, in the form that the job names: PyTorch's own, or one of 8 bits."""

import importlib
import importlib.metadata

import sample_numbers
import turns
from stacking import Stacking

job = turns.job()
turns.use_threads(job["threads"])

import torch  # noqa: E402

from torch_eager import MAXIMUM_NORM  # noqa: E402

torch.set_num_threads(job["threads"])
form = job["form"]
stacking = Stacking(job["shapes"], False)
# Where packages keep their AdamW with moments of 8 bits.
EIGHT_BITS = {"torchao": ("torchao.optim", "AdamW8bit"), "bitsandbytes": ("bitsandbytes.optim", "AdamW8bit")}


def tensors(kind):
    return [torch.from_numpy(array).clone() for array in stacking.arrays(kind)]


def optimizer_class():
    if "package" not in form:
        return getattr(torch.optim, form["optimizer"])
    module, name = EIGHT_BITS[form["package"]]
    return getattr(importlib.import_module(module), name)


def version():
    package = form.get("package")
    own = f"PyTorch {torch.__version__}"
    return f"{own}, {package} {importlib.metadata.version(package)}" if package else own


parameters = [torch.nn.Parameter(tensor) for tensor in tensors(sample_numbers.PARAMETERS)]
gradients = tensors(sample_numbers.UNSCALED_GRADIENTS)
for parameter, gradient in zip(parameters, gradients):
    parameter.grad = gradient.clone()
optimizer = optimizer_class()(parameters, **form["settings"])


def step():
    torch.nn.utils.clip_grad_norm_(parameters, MAXIMUM_NORM, foreach=form["clips_with_foreach"])
    optimizer.step()


if form.get("compiled"):
    step = torch.compile(step)


def restore():
    """Puts gradients back, which clipping changes in place."""
    torch._foreach_copy_([parameter.grad for parameter in parameters], gradients)


for _ in range(turns.STEPS_TO_CHECK):
    restore()
    step()
turns.answer(
    changeNorm=stacking.distance(
        [parameter.detach().numpy() for parameter in parameters], sample_numbers.PARAMETERS
    ),
    version=version(),
)
turns.take(sum(parameter.numel() for parameter in parameters), step, restore)
