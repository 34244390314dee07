"""A step in eager PyTorch, in several forms."""

import torch

SCALE = 65_536.0
MAXIMUM_NORM = 1.0


def rows(gradients):
    """Those gradients that are centralized, as matrices of their rows."""
    return [gradient.flatten(1) for gradient in gradients if gradient.ndim > 1]


class ScaledStep:
    """What PyTorch documents: a GradScaler, clip_grad_norm_ and an optimizer."""

    def __init__(self, parameters, optimizer, clips_with_foreach):
        self.parameters = parameters
        self.optimizer = optimizer
        self.clips_with_foreach = clips_with_foreach
        self.rows = rows([parameter.grad for parameter in parameters])
        self.scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
        self.scaler.scale(torch.ones(()))

    def __call__(self):
        self.scaler.unscale_(self.optimizer)
        with torch.no_grad():
            for matrix in self.rows:
                matrix.sub_(matrix.mean(1, keepdim=True))
        torch.nn.utils.clip_grad_norm_(self.parameters, MAXIMUM_NORM, foreach=self.clips_with_foreach)
        self.scaler.step(self.optimizer)
        self.scaler.update()


class FusedStep:
    """Has the fused optimizer unscale and clip too, by the factor that a GradScaler would hand to it.

    Whether all is finite is told by the norm, which is taken of scaled gradients.
    """

    def __init__(self, parameters, optimizer, clips_with_foreach):
        self.optimizer = optimizer
        self.clips_with_foreach = clips_with_foreach
        self.gradients = [parameter.grad for parameter in parameters]
        self.rows = rows(self.gradients)

    @torch.no_grad()
    def __call__(self):
        for matrix in self.rows:
            matrix.sub_(matrix.mean(1, keepdim=True))
        norm = torch.nn.utils.get_total_norm(self.gradients, foreach=self.clips_with_foreach) / SCALE
        self.optimizer.grad_scale = ((norm + 1e-6) / MAXIMUM_NORM).clamp_(min=1) * SCALE
        self.optimizer.found_inf = norm.isfinite().logical_not_().float()
        self.optimizer.step()
