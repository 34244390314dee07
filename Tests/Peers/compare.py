"""Compares Descent with PyTorch and Optax, in turns, and prints a Markdown table.

    python3 -m venv ~/peers && ~/peers/bin/pip install -r Tests/Peers/requirements.txt
    ~/peers/bin/python Tests/Peers/compare.py

All do the same to the same numbers: unscale and check that all is finite, centralize, clip by the global norm, AdamW.
Each peer is tried in several forms (forms.py says which), and takes part in the fastest. That every form does the same
is checked after three steps. Each is a process of its own that is alive all the time; they take turns, a turn of
Descent's next to each of a peer's, and the ratio of the two is taken round by round. What is compared is the step
alone: no gradient is made, and what PyTorch changes in place is put back outside of what is measured.

"PyTorch eager" is what PyTorch documents: a GradScaler, clip_grad_norm_ and AdamW over the model's own tensors.
"PyTorch by hand" goes further: the fused AdamW unscales and clips, and tensors may be stacked.

Exits with status 1 if a bar is missed, or if a peer that a bar speaks of failed.
"""

import argparse
import os
import pathlib
import platform
import subprocess
import sys

from contest import Contest
from forms import PEERS

ROOT = pathlib.Path(__file__).resolve().parents[2]
# How many times faster than eager PyTorch each workload has to be.
BARS = {"gpt2-small": 1.8, "resnet50": 1.8, "mlp": 8, "many-small": 60}
EAGER = "PyTorch eager"


def main():
    options = read_options()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
    options.bench = options.bench or built_bench()
    contests = []
    for workload in options.workloads:
        contest = Contest(workload, options, lambda line: print(line, file=sys.stderr, flush=True))
        contest.run()
        contests.append(contest)
    print("\n".join(table(contests, options.peers)))
    print("\n".join(["", *table_of_forms(contests, options.peers)]))
    print("\n".join(["", machine(contests, options)]))
    failures = [failure for contest in contests for failure in contest.all_failures()]
    if failures:
        print("\n".join(["", "Failed:", *(f"- {failure}" for failure in failures)]))
    verdicts = [verdict(contest) for contest in contests] if EAGER in options.peers else []
    if verdicts:
        print("\n".join(["", *(f"- {line}" for _, line in verdicts)]))
    sys.exit(0 if all(holds for holds, _ in verdicts) else 1)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="workload", help=f"of {', '.join(BARS)}; all by default")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), help="all by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a turn takes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--trial", type=float, default=0.3, help="how long a turn takes while forms are tried")
    parser.add_argument("--limit", type=float, default=300, help="in how many seconds a form has to be ready")
    parser.add_argument("--bench", help="the program to run, instead of building descent-bench")
    options = parser.parse_intermixed_args()
    options.workloads = options.workloads or list(BARS)
    for workload in options.workloads:
        if workload not in BARS:
            parser.error(f'there is no workload "{workload}"; there are {", ".join(BARS)}')
    return options


def built_bench():
    """Builds descent-bench for release, and says where it is."""
    build = ["swift", "build", "-c", "release", "--package-path", str(ROOT)]
    subprocess.run([*build, "--product", "descent-bench"], check=True, stdout=sys.stderr)
    folder = subprocess.run([*build, "--show-bin-path"], check=True, capture_output=True, text=True).stdout.strip()
    return str(pathlib.Path(folder) / "descent-bench")


def table(contests, peers):
    """Nanoseconds for each parameter element; for peers, also how many times Descent's that is."""
    yield "| workload | elements | Descent | " + " | ".join(peers) + " |"
    yield "| --- | ---: | ---: |" + " ---: |" * len(peers)
    for contest in contests:
        elements = sum(product(tensor["shape"]) for tensor in contest.description["tensors"])
        cells = [contest.workload, f"{elements:,}", f"{contest.median('Descent'):.2f} ns"]
        cells += [cell(contest, name) for name in peers]
        yield "| " + " | ".join(cells) + " |"


def cell(contest, name):
    if name in contest.failures:
        return "failed"
    ratios = contest.ratios[name]
    return (
        f"{contest.median(name):.2f} ns, **{contest.ratio(name):.2f} ×** ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def table_of_forms(contests, peers):
    """Nanoseconds for each parameter element of all forms that were tried; the fastest in bold."""
    yield "| peer | form | " + " | ".join(contest.workload for contest in contests) + " |"
    yield "| --- | --- |" + " ---: |" * len(contests)
    for name in peers:
        forms = dict.fromkeys(form for contest in contests for form in contest.trials[name].results)
        for form in forms:
            yield f"| {name} | {form} | " + " | ".join(tried(contest.trials[name], form) for contest in contests) + " |"


def tried(trial, form):
    result = trial.results.get(form)
    if isinstance(result, float):
        return f"**{result:.2f}**" if form == trial.winning_form else f"{result:.2f}"
    return "" if result is None else "failed"


def verdict(contest):
    """Whether the workload's bar holds, and a line that says so."""
    bar = BARS[contest.workload]
    if EAGER in contest.failures:
        return False, f"{contest.workload}: {EAGER} failed, so that nothing is known of the bar of {bar} ×"
    ratio = contest.ratio(EAGER)
    word = "holds" if ratio >= bar else "MISSED"
    return ratio >= bar, f"{contest.workload}: {ratio:.2f} times as fast as {EAGER}; the bar of {bar} {word}"


def machine(contests, options):
    versions = dict.fromkeys(version for contest in contests for version in contest.versions.values())
    return (
        f"{processor()}, {os.cpu_count()} processors, {options.threads} threads; {platform.system()} "
        f"{platform.release()}; Python {platform.python_version()}; {'; '.join(versions)}. Median time of a step "
        f"for each parameter element; × is the median of {options.rounds} ratios, each of two turns side by side of "
        f"{options.seconds:g} s, with the smallest and the largest of them."
    )


def processor():
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def product(shape):
    result = 1
    for extent in shape:
        result *= extent
    return result


if __name__ == "__main__":
    main()
