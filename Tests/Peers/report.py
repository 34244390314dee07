"""What comparisons have shown: tables in Markdown, bars, and JSON."""

import os
import platform

# How many times faster than eager PyTorch each workload has to be, by Descent's chain.
BARS = {
    ("gpt2-small", "full"): 2.0,
    ("gpt2-small", "int8"): 2.5,
    ("gpt2-small", "half+int8"): 3.3,
    ("resnet50", "full"): 1.8,
    ("mlp", "full"): 8,
    ("many-small", "full"): 60,
}
EAGER = "PyTorch eager"


def table(contests, names, columns):
    """Nanoseconds for each parameter element; for peers, also how many times Descent's that is.

    `columns` says what the first columns hold: of each title, what it is of a contest.
    """
    yield "| " + " | ".join(columns) + " | Descent | " + " | ".join(names) + " |"
    yield "| --- |" + " ---: |" * (len(columns) + len(names))
    for contest in contests:
        cells = [of(contest) for of in columns.values()] + [f"{contest.median('Descent'):.2f} ns"]
        yield "| " + " | ".join(cells + [cell(contest, name) for name in names]) + " |"


def cell(contest, name):
    if name in contest.failures:
        return "failed"
    if name not in contest.ratios:
        return ""
    ratios = contest.ratios[name]
    return (
        f"{contest.median(name):.2f} ns, **{contest.ratio(name):.2f} ×** ({min(ratios):.2f} to {max(ratios):.2f})"
    )


def table_of_forms(contests, names, title):
    """Nanoseconds for each parameter element of all forms that were tried; the fastest in bold."""
    yield "| peer | form | " + " | ".join(title(contest) for contest in contests) + " |"
    yield "| --- | --- |" + " ---: |" * len(contests)
    for name in names:
        trials = [contest.trials.get(name) for contest in contests]
        for form in dict.fromkeys(form for trial in trials if trial for form in trial.results):
            yield f"| {name} | {form} | " + " | ".join(tried(trial, form) for trial in trials) + " |"


def tried(trial, form):
    result = trial.results.get(form) if trial else None
    if isinstance(result, float):
        return f"**{result:.2f}**" if form == trial.winning_form else f"{result:.2f}"
    return "" if result is None else "failed"


def verdict(contest):
    """Whether the workload's bar holds, and a line that says so."""
    bar = BARS[contest.workload, contest.chain]
    what = f"{contest.workload}, {contest.chain}"
    if EAGER in contest.failures:
        return False, f"{what}: {EAGER} failed, so that nothing is known of the bar of {bar} ×"
    ratio = contest.ratio(EAGER)
    word = "holds" if ratio >= bar else "MISSED"
    return ratio >= bar, f"{what}: {ratio:.2f} times as fast as {EAGER}; the bar of {bar} {word}"


def as_json(contests, names, options):
    """All of it. `curves` are what descent-bench --plot draws of --peers: times of each peer by the number of elements."""
    curves = [
        {
            "name": name,
            "points": [
                {"elements": contest.elements, "nanosecondsPerElement": contest.median(name)}
                for contest in sorted(contests, key=lambda contest: contest.elements)
                if name in contest.ratios and name not in contest.failures
            ],
        }
        for name in names
    ]
    results = [
        {
            "workload": contest.workload,
            "chain": contest.chain,
            "elements": contest.elements,
            "nanosecondsPerElement": {name: contest.median(name) for name in contest.times if contest.times[name]},
            "timeOverDescent": {name: contest.ratio(name) for name in contest.ratios if contest.ratios[name]},
            "forms": {name: trial.results for name, trial in contest.trials.items()},
            "failures": contest.failures,
        }
        for contest in contests
    ]
    return {"machine": machine(contests, options), "curves": curves, "results": results}


def notes(contests, options):
    return (
        f"{machine(contests, options)}. Median time of a step for each parameter element; × is the median of "
        f"{options.rounds} ratios, each of two turns side by side of {options.seconds:g} s, with the smallest and the "
        "largest of them."
    )


def machine(contests, options):
    versions = dict.fromkeys(version for contest in contests for version in contest.versions.values())
    return (
        f"{processor()}, {os.cpu_count()} processors, {options.threads} threads; {platform.system()} "
        f"{platform.release()}; Python {platform.python_version()}; {'; '.join(versions)}"
    )


def processor():
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
