"""The chain in PyTorch: eager, or compiled if the job says so."""

import sample_numbers
import turns

job = turns.job()
turns.use_threads(job["threads"])

import torch  # noqa: E402

torch.set_num_threads(job["threads"])


def tensors(kind):
    return [torch.from_numpy(array) for array in sample_numbers.arrays(job["shapes"], kind)]


parameters = [torch.nn.Parameter(tensor) for tensor in tensors(sample_numbers.PARAMETERS)]
gradients = tensors(sample_numbers.GRADIENTS)
for parameter, gradient in zip(parameters, gradients):
    parameter.grad = gradient.clone()
# fused=True is the fastest that there is; compiled, the optimizer's own operation would stay outside of what is fused.
optimizer = torch.optim.AdamW(parameters, lr=0.001, weight_decay=0.01, fused=not job["compiled"])


def restore():
    """Puts gradients back, which the stages change in place."""
    torch._foreach_copy_([parameter.grad for parameter in parameters], gradients)


@torch.no_grad()
def centralize():
    for parameter in parameters:
        if parameter.ndim > 1:
            gradient = parameter.grad
            gradient.sub_(gradient.mean(dim=tuple(range(1, gradient.ndim)), keepdim=True))


if job["compiled"]:
    from compiled_step import CompiledStep

    step = CompiledStep(parameters, optimizer, centralize)
else:
    scaler = torch.amp.GradScaler("cpu", init_scale=65_536.0)
    scaler.scale(torch.ones(()))

    def step():
        scaler.unscale_(optimizer)
        centralize()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        scaler.step(optimizer)
        scaler.update()


for _ in range(turns.STEPS_TO_CHECK):
    restore()
    step()
turns.answer(
    changeNorm=sample_numbers.distance(
        (parameter.detach().numpy() for parameter in parameters), sample_numbers.PARAMETERS
    ),
    momentNorm=sample_numbers.distance(
        optimizer.state[parameter]["exp_avg"].detach().numpy() for parameter in parameters
    ),
    version=f"PyTorch {torch.__version__}",
)
turns.take(sum(parameter.numel() for parameter in parameters), job["seconds"], step, restore)
