"""Compares Descent with PyTorch and Optax, in turns, and prints a Markdown table.

    python3 -m venv ~/peers && ~/peers/bin/pip install -r Tests/Peers/requirements.txt
    ~/peers/bin/python Tests/Peers/compare.py
    ~/peers/bin/python Tests/Peers/compare.py --optimizers
    ~/peers/bin/python Tests/Peers/compare.py gpt2-small --chains full int8 half+int8
    ~/peers/bin/python Tests/Peers/compare.py --sizes 1000 100000 10000000 --json peers.json

All do the same to the same numbers: unscale and check that all is finite, centralize, clip by the global norm, AdamW.
Each peer is tried in several forms (forms.py says which), and takes part in the fastest. That every form does the same
is checked after three steps. Each is a process of its own that is alive all the time; they take turns, a turn of
Descent's next to each of a peer's, and the ratio of the two is taken round by round. What is compared is the step
alone: no gradient is made, and what PyTorch changes in place is put back outside of what is measured.

"PyTorch eager" is what PyTorch documents: a GradScaler, clip_grad_norm_ and AdamW over the model's own tensors.
"PyTorch by hand" goes further: the fused AdamW unscales and clips, and tensors may be stacked.

With --chains, Descent runs other chains than its `full`, which its peers have still: what they have no counterpart of,
as moments of 8 bits.

With --optimizers, each optimizer that both have is compared behind a clip by the global norm alone, over 24 matrices
(optimizers.py says which and how); with --sizes, models of so many elements, for descent-bench --plot.

Exits with status 1 if a bar is missed, or if a peer that a bar speaks of failed.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import optimizers
import report
from contest import Contest
from forms import PEERS

ROOT = pathlib.Path(__file__).resolve().parents[2]
MATRICES = "matrices"


def main():
    options = read_options()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    options.bench = options.bench or built_bench()
    contests, left_out = [], []
    for workload, chain in pairs(options):
        candidates, missing = candidates_of(chain, options)
        left_out += [f"{chain}, {name}: {why}" for name, why in missing.items()]
        if not candidates:
            continue
        contest = Contest(workload, chain, candidates, options, log)
        contest.run()
        contests.append(contest)
    show(contests, options)
    failures = left_out + [failure for contest in contests for failure in contest.all_failures()]
    if failures:
        print("\n".join(["", "Failed or left out:", *(f"- {failure}" for failure in failures)]))
    barred = [contest for contest in contests if (contest.workload, contest.chain) in report.BARS]
    verdicts = [report.verdict(contest) for contest in barred] if report.EAGER in options.peers else []
    if verdicts:
        print("\n".join(["", *(f"- {line}" for _, line in verdicts)]))
    sys.exit(0 if all(holds for holds, _ in verdicts) else 1)


def log(line):
    print(line, file=sys.stderr, flush=True)


def pairs(options):
    """What is compared: workloads and chains."""
    if options.optimizers is None:
        return [(workload, chain) for workload in options.workloads for chain in options.chains]
    return [(workload, chain) for workload in options.workloads for chain in options.optimizers]


def candidates_of(chain, options):
    """The peers of a chain that were asked for, and why others are left out."""
    if options.optimizers is None:
        return {name: PEERS[name] for name in options.peers}, {}
    found, missing = optimizers.peers(chain)
    return tuple({name: part[name] for name in part if name in options.peers} for part in (found, missing))


def show(contests, options):
    """Prints the tables, and writes JSON."""
    if options.optimizers is None:
        columns = {"workload": lambda contest: contest.workload, "elements": lambda contest: f"{contest.elements:,}"}
        if options.chains != ["full"]:
            columns["Descent's chain"] = lambda contest: contest.chain
    else:
        columns = {"chain": lambda contest: contest.chain, "workload": lambda contest: contest.workload}
    title = next(iter(columns.values()))
    print("\n".join(report.table(contests, options.peers, columns)))
    print("\n".join(["", *report.table_of_forms(contests, options.peers, title)]))
    print("\n".join(["", report.notes(contests, options)]))
    if options.json:
        result = report.as_json(contests, options.peers, options)
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1) + "\n")


def read_options():
    workloads = list(dict.fromkeys(workload for workload, _ in report.BARS))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "workloads", nargs="*", metavar="workload",
        help=f"of descent-bench; by default {', '.join(workloads)}, and for optimizers {MATRICES}",
    )  # fmt: skip
    names = list(dict.fromkeys([*PEERS, *optimizers.NAMES]))
    parser.add_argument("--peers", nargs="+", choices=names, help="all by default")
    parser.add_argument(
        "--optimizers", nargs="*", choices=optimizers.CHAINS, metavar="chain",
        help=f"compare these optimizers behind a clip: {', '.join(optimizers.CHAINS)}; all by default",
    )  # fmt: skip
    parser.add_argument("--chains", nargs="+", default=["full"], help="which chains Descent runs; full by default")
    parser.add_argument("--sizes", nargs="+", type=int, help="compare models of so many elements")
    parser.add_argument("--json", help="a file to write everything to, for descent-bench --plot --peers")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a turn takes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--trial", type=float, default=0.3, help="how long a turn takes while forms are tried")
    parser.add_argument("--limit", type=float, default=300, help="in how many seconds a form has to be ready")
    parser.add_argument("--bench", help="the program to run, instead of building descent-bench")
    options = parser.parse_intermixed_args()
    if options.optimizers == []:
        options.optimizers = optimizers.CHAINS
    if options.sizes and (options.workloads or options.optimizers):
        parser.error("--sizes are workloads of their own, of the whole chain")
    known = optimizers.NAMES if options.optimizers else list(PEERS)
    options.peers = options.peers or known
    if unknown := [name for name in options.peers if name not in known]:
        parser.error(f"of {', '.join(unknown)} nothing is known here; there are {', '.join(known)}")
    if options.sizes:
        options.workloads = [f"size-{size}" for size in options.sizes]
    options.workloads = options.workloads or ([MATRICES] if options.optimizers else workloads)
    return options


def built_bench():
    """Builds descent-bench for release, and says where it is."""
    build = ["swift", "build", "-c", "release", "--package-path", str(ROOT)]
    subprocess.run([*build, "--product", "descent-bench"], check=True, stdout=sys.stderr)
    folder = subprocess.run([*build, "--show-bin-path"], check=True, capture_output=True, text=True).stdout.strip()
    return str(pathlib.Path(folder) / "descent-bench")


if __name__ == "__main__":
    main()
