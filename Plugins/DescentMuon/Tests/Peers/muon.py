"""Compares DescentMuon with PyTorch's torch.optim.Muon, in turns.

    python3 -m venv ~/peers && ~/peers/bin/pip install -r Tests/Peers/requirements.txt
    ~/peers/bin/python Plugins/DescentMuon/Tests/Peers/muon.py

Both take whole steps over matrices of the same shape, with weight decay. PyTorch orthogonalizes in bfloat16, DescentMuon
in float32. That both do the same is checked by the norm of what a first step changes, to 3%. Each is a process of its own
that is alive all the time; the ratio of the two is taken round by round. Before, muon-bench measures steps in turns with
nothing but their products, in the same BLAS. Exits with status 1 if a step takes more than 1.15 times its products.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys

PLUGIN = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PLUGIN.parents[1] / "Tests" / "Peers"))

from peer import Peer  # noqa: E402

# How many times as long as its products a step may take.
LIMIT = 1.15
LIMIT_IN_SECONDS = 300


def main():
    options = read_options()
    bench = options.bench or built_bench()
    shape = ["--matrices", options.matrices, "--rows", options.rows, "--columns", options.columns]
    shape = [str(word) for word in [*shape, "--threads", options.threads]]
    # OpenBLAS reads it when it is loaded; PyTorch's BLAS is another one.
    environment = {"OPENBLAS_CORETYPE": options.core} if options.core else {}
    alone = subprocess.run([bench, *shape, "--limit", str(LIMIT)], env={**os.environ, **environment})
    print(flush=True)
    descent = Peer("DescentMuon", [bench, *shape, "--in-turns"], environment=environment)
    torch = Peer(
        "PyTorch", [sys.executable, str(pathlib.Path(__file__).with_name("torch_muon.py"))],
        job={name: getattr(options, name) for name in ["matrices", "rows", "columns", "threads"]},
    )  # fmt: skip
    try:
        compare([descent, torch], options)
    finally:
        descent.end()
        torch.end()
    sys.exit(alone.returncode)


def compare(peers, options):
    """Has two peers take turns, and prints what came of it."""
    ready = [peer.ready(LIMIT_IN_SECONDS) for peer in peers]
    norms = [answer["changeNorm"] for answer in ready]
    if abs(norms[0] / norms[1] - 1) > 0.03:
        sys.exit(f"a first step changes the parameters by {norms[0]:.4g} here and {norms[1]:.4g} there")
    times = {peer.name: [] for peer in peers}
    memory = {}
    for number in range(options.rounds):
        for peer in peers if number % 2 == 0 else reversed(peers):
            answer = peer.answer_of_turn(options.seconds, LIMIT_IN_SECONDS)
            times[peer.name].append(answer["nanosecondsPerElement"])
            memory[peer.name] = answer["peakResidentBytes"]
    print("| | ns for each element | most memory of the process |")
    print("| --- | ---: | ---: |")
    for peer, answer in zip(peers, ready):
        turns = times[peer.name]
        spread = f"{statistics.median(turns):.1f} ({min(turns):.1f} to {max(turns):.1f})"
        print(f"| {answer['version']} | {spread} | {memory[peer.name] / 1e6:.0f} MB |")
    ratios = [other / own for own, other in zip(*times.values())]
    print(f"\nPyTorch takes {statistics.median(ratios):.2f} times as long ({min(ratios):.2f} to {max(ratios):.2f}).")


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrices", type=int, default=24)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--columns", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a turn takes at least")
    parser.add_argument("--core", help="OPENBLAS_CORETYPE, such as SkylakeX, where OpenBLAS takes older kernels")
    parser.add_argument("--bench", help="the program to run, instead of building muon-bench")
    return parser.parse_args()


def built_bench():
    """Builds muon-bench for release, and says where it is."""
    build = ["swift", "build", "-c", "release", "--package-path", str(PLUGIN)]
    subprocess.run([*build, "--product", "muon-bench"], check=True, stdout=sys.stderr)
    folder = subprocess.run([*build, "--show-bin-path"], check=True, capture_output=True, text=True).stdout.strip()
    return str(pathlib.Path(folder) / "muon-bench")


if __name__ == "__main__":
    main()
