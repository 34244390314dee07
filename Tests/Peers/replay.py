"""Trains a small model with PyTorch, has Descent replay it from safetensors files, and compares where both end.

    python3 -m venv ~/peers && ~/peers/bin/pip install -r Tests/Peers/requirements.txt
    ~/peers/bin/python Tests/Peers/replay.py

The training: torch.amp.GradScaler, torch.nn.utils.clip_grad_norm_, torch.optim.AdamW, with steps that overflow. It is
run with gradients in float32, where one step is made to overflow, and rounded to float16, where the loss scale is too
large to begin with. Compared are the outcome of each step, the loss scale, the norms, the parameters and the moments.
Python's safetensors writes what Descent reads, and reads what Descent writes.

Exits with status 1 if anything differs by more than the tolerance, which allows for sums in another order.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = 60
OVERFLOWING_STEP = 20
SETTINGS = {"growthInterval": 15, "maximumNorm": 0.5, "learningRate": 0.01, "weightDecay": 0.1}
# Of a value and of the largest of its tensor.
RELATIVE_TOLERANCE = 1e-5
ABSOLUTE_TOLERANCE = 1e-6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replay", help="the program to run, instead of building replay")
    options = parser.parse_args()
    program = options.replay or built_replay()
    for name, dtype, scale in [("float32", torch.float32, 65_536.0), ("float16", torch.float16, 2.0**24)]:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, dtype, scale, program, pathlib.Path(folder))


def built_replay():
    """Builds the program, and says where it is."""
    build = ["swift", "build", "--package-path", str(ROOT), "--product", "replay"]
    subprocess.run(build, check=True, stdout=sys.stderr)
    folder = subprocess.run([*build, "--show-bin-path"], check=True, capture_output=True, text=True).stdout.strip()
    return str(pathlib.Path(folder) / "replay")


def compare(name, dtype, scale, program, folder):
    training = Training(dtype, scale, folder)
    (folder / "job.json").write_text(json.dumps({"steps": STEPS, "initialScale": scale, **SETTINGS}))
    expected = [training.step(index) for index in range(STEPS)]
    overflows = sum(not step["isApplied"] for step in expected)
    require(0 < overflows < STEPS, f"{overflows} of {STEPS} steps overflowed in PyTorch, which tests nothing")

    output = subprocess.run([program, str(folder)], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = [json.loads(line) for line in output.splitlines()]
    require(len(found) == STEPS, f"Descent replayed {len(found)} of {STEPS} steps")
    for index, (here, there) in enumerate(zip(found, expected)):
        for key in ["isApplied", "nextLossScale"]:
            require(here[key] == there[key], f"step {index}: {key} is {here[key]}, but {there[key]} in PyTorch")
        if there["isApplied"]:
            require_close(here["gradientNorm"], there["gradientNorm"], f"step {index}, norm")

    largest = compare_files(training.state(), folder, STEPS - overflows)
    print(
        f"{name}: {STEPS} steps, {overflows} skipped, loss scale {scale:g} to {expected[-1]['nextLossScale']:g}; "
        f"the largest difference of a parameter is {largest:.1e}"
    )


def compare_files(expected, folder, applied_steps):
    """Compares what Descent wrote with PyTorch's state; says how far apart parameters are."""
    path = folder / "replayed.safetensors"
    with safetensors.safe_open(path, framework="numpy") as file:
        require(file.metadata()["appliedSteps"] == str(applied_steps), "another number of applied steps")
    found = safetensors.numpy.load_file(path)
    require(set(found) == set(expected), f"the file holds {sorted(found)}")
    for name, tensor in expected.items():
        require(found[name].shape == tensor.shape, f"{name} has shape {found[name].shape}")
        require_close(found[name], tensor.numpy(), name)

    copies = safetensors.torch.load_file(folder / "copy.safetensors")
    parameters = {name: found[f"parameters/{name}"] for name in copies}
    for name, copy in copies.items():
        rounded = torch.from_numpy(parameters[name]).to(torch.bfloat16)
        require(torch.equal(copy, rounded), f"{name} is rounded to bfloat16 otherwise than PyTorch does")
    return max(float(numpy.max(numpy.abs(parameters[name] - expected[f"parameters/{name}"].numpy()))) for name in copies)


class Training:
    """A perceptron that PyTorch trains, one batch a step."""

    def __init__(self, dtype, scale, folder):
        torch.manual_seed(7)
        torch.set_num_threads(1)
        self.dtype = dtype
        self.folder = folder
        self.model = torch.nn.Sequential(
            torch.nn.Linear(12, 20), torch.nn.Tanh(), torch.nn.Linear(20, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3)
        )
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=SETTINGS["learningRate"], weight_decay=SETTINGS["weightDecay"]
        )
        self.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=SETTINGS["growthInterval"])
        tensors = {name: parameter.detach().numpy() for name, parameter in self.model.named_parameters()}
        safetensors.numpy.save_file(tensors, folder / "parameters.safetensors", metadata={"framework": "numpy"})

    def step(self, index):
        inputs, targets = torch.randn(16, 12), torch.randn(16, 3)
        if index == OVERFLOWING_STEP:
            targets *= 1e38
        scale = self.scaler.get_scale()
        self.optimizer.zero_grad()
        self.scaler.scale((self.model(inputs) - targets).square().mean()).backward()
        gradients = {name: parameter.grad.to(self.dtype) for name, parameter in self.model.named_parameters()}
        path = self.folder / f"gradients-{index}.safetensors"
        safetensors.torch.save_file(gradients, path, metadata={"lossScale": repr(scale)})
        for name, parameter in self.model.named_parameters():
            parameter.grad = gradients[name].float()

        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), SETTINGS["maximumNorm"])
        self.scaler.step(self.optimizer)
        self.scaler.update()
        is_applied = self.scaler.get_scale() >= scale
        return {"isApplied": is_applied, "gradientNorm": norm.item(), "nextLossScale": self.scaler.get_scale()}

    def state(self):
        """Parameters and moments, by the names that Descent gives them."""
        state = {}
        for name, parameter in self.model.named_parameters():
            state[f"parameters/{name}"] = parameter.detach()
            state[f"AdamW.first moment/{name}"] = self.optimizer.state[parameter]["exp_avg"]
            state[f"AdamW.second moment/{name}"] = self.optimizer.state[parameter]["exp_avg_sq"]
        return state


def require_close(found, expected, what):
    """Fails unless numbers are close."""
    found, expected = numpy.asarray(found), numpy.asarray(expected)
    difference = float(numpy.max(numpy.abs(found - expected)))
    tolerance = RELATIVE_TOLERANCE * float(numpy.max(numpy.abs(expected))) + ABSOLUTE_TOLERANCE
    require(difference <= tolerance, f"{what} differs by {difference}, more than {tolerance}")


def require(condition, message):
    if not condition:
        sys.exit(f"replay.py: {message}")


if __name__ == "__main__":
    main()
