"""A step as torch.compile makes it, in several forms. What is compiled is called with the settings of the form."""

import torch

from torch_eager import MAXIMUM_NORM, SCALE, rows


def centralize(matrices):
    for matrix in matrices:
        matrix.sub_(matrix.mean(1, keepdim=True))


def in_two_functions(parameters, optimizer, compile):
    """Unscales, checks, centralizes and clips in one compiled function, and updates in another, all with foreach."""
    gradients = [parameter.grad for parameter in parameters]
    matrices = rows(gradients)

    @compile
    @torch.no_grad()
    def prepare():
        torch._foreach_mul_(gradients, 1 / SCALE)
        finite = torch.stack([torch.isfinite(gradient).all() for gradient in gradients]).all()
        centralize(matrices)
        torch.nn.utils.clip_grad_norm_(parameters, MAXIMUM_NORM, foreach=True)
        return finite

    update = compile(optimizer.step)

    def step():
        if prepare().item():
            update()

    return step


def in_one_function(parameters, optimizer, compile):
    """One function from unscaling to the update, which asks the norm that clipping takes whether all is finite."""
    gradients = [parameter.grad for parameter in parameters]
    matrices = rows(gradients)

    @compile
    @torch.no_grad()
    def step():
        for gradient in gradients:
            gradient.mul_(1 / SCALE)
        centralize(matrices)
        norm = torch.nn.utils.clip_grad_norm_(parameters, MAXIMUM_NORM, foreach=False)
        if norm.isfinite():
            optimizer.step()

    return step


def in_one_graph(parameters, optimizer, compile):
    """One graph, with the settings of the optimizer but its arithmetic spelled out.

    Gradients stay as they are, and where the norm is not finite each number is kept: nothing leaves the graph.
    """
    settings = optimizer.param_groups[0]
    beta1, beta2 = settings["betas"]
    moments = [torch.zeros_like(parameter) for parameter in parameters]
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    count = torch.zeros(())
    for parameter, moment in zip(parameters, moments):
        optimizer.state[parameter]["exp_avg"] = moment

    @compile
    @torch.no_grad()
    def update(parameters, moments, squares, gradients, count):
        unscaled = [gradient * (1 / SCALE) for gradient in gradients]
        centered = [
            gradient - gradient.mean(tuple(range(1, gradient.ndim)), keepdim=True) if gradient.ndim > 1 else gradient
            for gradient in unscaled
        ]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in centered]))
        finite = norm.isfinite()
        factor = (MAXIMUM_NORM / (norm + 1e-6)).clamp(max=1)
        taken = count + finite
        rate = settings["lr"] / (1 - beta1**taken)
        root = (1 - beta2**taken).rsqrt()
        for parameter, moment, square, gradient in zip(parameters, moments, squares, centered):
            clipped = gradient * factor
            new_moment = moment + (1 - beta1) * (clipped - moment)
            new_square = beta2 * square + (1 - beta2) * clipped * clipped
            change = rate * new_moment / (new_square.sqrt() * root + settings["eps"])
            new_parameter = parameter * (1 - settings["lr"] * settings["weight_decay"]) - change
            parameter.copy_(torch.where(finite, new_parameter, parameter))
            moment.copy_(torch.where(finite, new_moment, moment))
            square.copy_(torch.where(finite, new_square, square))
        count.copy_(taken)

    plain = [parameter.detach() for parameter in parameters]
    gradients = [parameter.grad for parameter in parameters]
    return lambda: update(plain, moments, squares, gradients, count)
