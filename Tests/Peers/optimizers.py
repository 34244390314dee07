"""The optimizers that PyTorch has too, each behind clip_grad_norm_, and what PyTorch's has to be set to.

The names are those of descent-bench's chains, whose settings are in BenchmarkChain+Every.swift. Descent has no ASGD and no
Rprop. Each is tried in every form that PyTorch has of it: fused or foreach where there are such, tensor by tensor, and
compiled as one function of clipping and update.
"""

import importlib.util

from forms import ONE_THREAD, Peers

ADAMW = {"lr": 0.001, "weight_decay": 0.01}
MOMENTUM = {"lr": 0.01, "momentum": 0.9}
# Class, settings, and whether PyTorch has a fused form for processors.
OPTIMIZERS = {
    "adamw": ("AdamW", ADAMW, True),
    "adamw-amsgrad": ("AdamW", {**ADAMW, "amsgrad": True}, True),
    "adam": ("Adam", {"lr": 0.001}, True),
    "adagrad": ("Adagrad", {"lr": 0.01}, True),
    "sgd": ("SGD", {"lr": 0.01}, True),
    "sgd-momentum": ("SGD", MOMENTUM, True),
    "sgd-nesterov": ("SGD", {**MOMENTUM, "nesterov": True}, True),
    "adadelta": ("Adadelta", {"lr": 1.0}, False),
    "adamax": ("Adamax", {"lr": 0.002}, False),
    "nadam": ("NAdam", {"lr": 0.002}, False),
    "radam": ("RAdam", {"lr": 0.001}, False),
    "rmsprop": ("RMSprop", {"lr": 0.001}, False),
    "rmsprop-momentum": ("RMSprop", {"lr": 0.001, "momentum": 0.9}, False),
    "rmsprop-centered": ("RMSprop", {"lr": 0.001, "centered": True}, False),
    "adafactor": ("Adafactor", {"lr": 0.0001}, False),
}
# What stands beside AdamW with moments of 8 bits: of Descent's chains the one with the smallest moments.
EIGHT_BITS = "adamw+bfloat16"
# Where there are 8 bits, packages with their optimizers, each of which is left out where it is not installed.
PACKAGES = {"torchao": "torchao", "bitsandbytes": "bitsandbytes"}
CHAINS = [*OPTIMIZERS, EIGHT_BITS]
NAMES = ["PyTorch eager", "torch.compile", *PACKAGES]
SCRIPT = "torch_optimizer.py"
# Not all of them have a first moment. That trajectories are the same is for replay.py.
SAME = ("changeNorm",)


def peers(chain):
    """The peers of a chain by name, each with its forms; and why others are left out, by name."""
    if chain == EIGHT_BITS:
        return packages()
    name, settings, is_fused = OPTIMIZERS[chain]

    def form(clips_with_foreach=True, **options):
        settings_and_options = {**settings, **options}
        return {"optimizer": name, "settings": settings_and_options, "clips_with_foreach": clips_with_foreach}

    eager = {"foreach": form(foreach=True), "tensor by tensor": form(False, foreach=False)}
    if is_fused:
        eager = {"fused": form(fused=True), **eager}
    compiled = {
        "one function": {**form(False, foreach=False), "compiled": True},
        "one function, foreach": {**form(foreach=True), "compiled": True},
    }
    variations = {"one thread": ONE_THREAD}
    return {
        "PyTorch eager": Peers(SCRIPT, eager, variations, SAME),
        "torch.compile": Peers(SCRIPT, compiled, variations, SAME),
    }, {}


def packages():
    """AdamW with moments of 8 bits, of each package that is there."""
    found, missing = {}, {}
    for name, module in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            missing[name] = f"{module} is not installed: pip install {module}"
            continue
        form = {"package": module, "settings": ADAMW, "clips_with_foreach": True}
        # Moments that are rounded to 8 bits lead elsewhere than Descent's.
        found[name] = Peers(SCRIPT, {"8 bits": form}, {"one thread": ONE_THREAD}, SAME, tolerance=0.05)
    return found, missing
