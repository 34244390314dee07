"""What the peers in Python have in common: they make ready, then measure for each line of standard input."""

import json
import os
import sys
import time

STEPS_TO_CHECK = 3


def job():
    """What is to be done: the first line of standard input."""
    return json.loads(sys.stdin.readline())


def answer(**values):
    """Writes a line of JSON."""
    print(json.dumps(values), flush=True)


def take(elements, step, restore=lambda: None):
    """Answers until standard input ends.

    A line holds how long its turn takes, in seconds. Each turn warms up for a tenth of the time, then measures each of
    at least three steps; the answer is their median.
    `restore` puts back, outside of what is measured, what a step changes in place.
    """
    for line in sys.stdin:
        seconds = float(line)
        start = time.perf_counter()
        step_once(step, restore)
        while time.perf_counter() - start < seconds / 10:
            step_once(step, restore)
        times = []
        while len(times) < 3 or time.perf_counter() - start < seconds:
            times.append(step_once(step, restore))
        answer(nanosecondsPerElement=median(times) / elements, steps=len(times))


def step_once(step, restore):
    """Carries out one step; gives its time in nanoseconds."""
    restore()
    start = time.perf_counter_ns()
    step()
    return time.perf_counter_ns() - start


def median(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def use_threads(count):
    """Keeps this process to so many processors and threads; before a library that looks at them is imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(count)
