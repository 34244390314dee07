"""Compares two builds of descent-bench, in turns, and prints a Markdown table.

    python3 Tests/Peers/before_and_after.py path/to/earlier/descent-bench .build/release/descent-bench

Both are alive all the time and take turns side by side; the ratio of the two is taken round by round. That both do the
same work is checked by what three steps have led to, bit for bit.

Exits with status 1 if a chain takes longer than before by more than the bar allows.
"""

import argparse
import statistics
import sys

from peer import Peer

WORKLOADS = ["gpt2-small", "mlp", "many-small"]
CHAINS = ["full", "clip", "accumulate", "half"]
LIMIT = 300


def main():
    options = read_options()
    print("| workload | chain | before | after | ratio | |")
    print("| --- | --- | ---: | ---: | ---: | --- |")
    results = [measure(workload, chain, options) for workload in options.workloads for chain in options.chains]
    print(f"\nNanoseconds for each parameter element; the ratio is the median of {options.rounds} rounds.")
    sys.exit(0 if all(results) else 1)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", help="the earlier program")
    parser.add_argument("after", help="the later program")
    parser.add_argument("--workloads", nargs="+", default=WORKLOADS)
    parser.add_argument("--chains", nargs="+", default=CHAINS)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=0.5, help="how long a turn takes")
    parser.add_argument("--bar", type=float, default=1.02, help="the largest ratio of the times, after to before")
    return parser.parse_args()


def ready_work(peer):
    """What three steps of a program have led to."""
    answer = peer.ready(LIMIT)
    return answer["changeNorm"], answer["momentNorm"]


def measure(workload, chain, options):
    """Prints the line of one chain; gives whether its bar holds."""
    arguments = [workload, "--chain", chain, "--in-turns", "--seconds", str(options.seconds)]
    programs = {"before": options.before, "after": options.after}
    pair = [Peer(name, [program, *arguments]) for name, program in programs.items()]
    try:
        work = [ready_work(peer) for peer in pair]
        times = {peer.name: [] for peer in pair}
        for number in range(options.rounds):
            for peer in pair if number % 2 == 0 else reversed(pair):
                times[peer.name].append(peer.turn(options.seconds, 60 + 10 * options.seconds))
    finally:
        for peer in pair:
            peer.end()
    ratio = statistics.median(after / before for before, after in zip(times["before"], times["after"]))
    complaints = []
    if ratio > options.bar:
        complaints.append(f"slower than {options.bar:g}")
    if work[0] != work[1]:
        complaints.append("not the same work")
    before, after = (statistics.median(times[name]) for name in ("before", "after"))
    print(f"| {workload} | {chain} | {before:.3f} | {after:.3f} | {ratio:.3f} | {', '.join(complaints)} |", flush=True)
    return not complaints


if __name__ == "__main__":
    main()
