"""One step as torch.compile makes it: everything but the decision whether to take it."""

import torch

SCALE = 65_536.0


class CompiledStep:
    """Unscales, checks, centralizes and clips in one compiled function, and updates in another."""

    def __init__(self, parameters, optimizer, centralize):
        gradients = [parameter.grad for parameter in parameters]

        @torch.no_grad()
        def prepare():
            torch._foreach_mul_(gradients, 1 / SCALE)
            finite = torch.stack([torch.isfinite(gradient).all() for gradient in gradients]).all()
            centralize()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
            return finite

        self.prepare = torch.compile(prepare)
        self.update = torch.compile(optimizer.step)

    def __call__(self):
        if self.prepare().item():
            self.update()
