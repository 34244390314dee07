"""PyTorch's Muon over the matrices that the job names; takes turns as Tests/Peers/turns.py at the root describes."""

import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "Tests" / "Peers"))

import turns  # noqa: E402

job = turns.job()
turns.use_threads(job["threads"])

import torch  # noqa: E402

torch.set_num_threads(job["threads"])
torch.manual_seed(1)


def matrices():
    return [torch.rand(job["rows"], job["columns"]) * 2 - 1 for _ in range(job["matrices"])]


def peak_resident_bytes():
    """The most memory that the process has held."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def step():
    """Takes a step; gives nanoseconds for each element."""
    start = time.perf_counter_ns()
    optimizer.step()
    return (time.perf_counter_ns() - start) / elements


parameters = [torch.nn.Parameter(matrix) for matrix in matrices()]
for parameter, gradient in zip(parameters, matrices()):
    parameter.grad = gradient
elements = sum(parameter.numel() for parameter in parameters)
optimizer = torch.optim.Muon(parameters, lr=0.001, weight_decay=0.1)

before = [parameter.detach().clone() for parameter in parameters]
step()
change = sum(float((parameter.detach() - old).square().sum()) for parameter, old in zip(parameters, before)) ** 0.5
turns.answer(changeNorm=change, version=f"PyTorch {torch.__version__}")
del before
for line in sys.stdin:
    step()
    times = []
    begin = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < float(line):
        times.append(step())
    turns.answer(
        nanosecondsPerElement=turns.median(times), steps=len(times), peakResidentBytes=peak_resident_bytes()
    )
