#!/usr/bin/env bash
# Trains digits-mpi with sharded state, kills it again and again, and has jobs of other numbers of ranks go on.
#
#     Plugins/DescentMPI/Tests/kill-and-resume.sh [KILLS]
#
# Each job has 1 to 4 ranks. One of its ranks, or all of them with mpirun, are killed at a random time, in a save as well as
# between two. What a job has saved must have the bits of a job of as many ranks that goes on from the same checkpoint and
# is left alone; and the last job has to recognize as many digits as one that nobody disturbs, give or take 2%.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
kills=${1:-50}
scratch=${DESCENT_SCRATCH:-.build}
program=$scratch/release/digits-mpi
swift build --quiet -c release --scratch-path "$scratch" --product digits-mpi
folder=$(mktemp -d)
trap 'pkill -9 -f "$folder" 2>/dev/null || true; rm -rf "$folder"' EXIT
RANDOM=2026

run() { # ranks, arguments...
    local ranks=$1
    shift
    mpirun --allow-run-as-root --oversubscribe --mca mpi_yield_when_idle 1 -n "$ranks" "$program" sharded "$@"
}
# What was saved after how many batches.
digests() { grep -E '^[0-9]+ batches, ' "$1" | sort -u || true; }
accuracy() { sed -n 's/.* recognize \([0-9.]*\)% .*/\1/p' "$1"; }

run 4 "$folder/undisturbed" >"$folder/undisturbed.log" 2>&1
expected=$(accuracy "$folder/undisturbed.log")
echo "4 ranks that nobody disturbs recognize $expected%."

mkdir "$folder/job"
compared=0
finished=0
for ((kill = 1; kill <= kills; kill++)); do
    ranks=$((RANDOM % 4 + 1))
    rm -rf "$folder/before"
    cp -r "$folder/job" "$folder/before"
    : >"$folder/killed.log"
    run "$ranks" "$folder/job/run" >"$folder/killed.log" 2>&1 &
    job=$!
    disown
    # After some saves, and then at any time until the next one is done.
    saves=$((RANDOM % 10))
    while kill -0 "$job" 2>/dev/null && (($(digests "$folder/killed.log" | wc -l) < saves)); do sleep 0.01; done
    sleep "0.0$((RANDOM % 6))$((RANDOM % 10))"
    if ((RANDOM % 2)); then
        victims=$(pgrep -f "$program sharded $folder/job/run" | grep -vx "$job" || true)
        victim=$(echo "$victims" | shuf -n 1 --random-source=<(yes "$RANDOM"))
        if [ -n "$victim" ]; then kill -9 "$victim" 2>/dev/null || true; fi
        sleep 0.2
    fi
    kill -9 "$job" 2>/dev/null || true
    pkill -9 -f "$folder/job/run" 2>/dev/null || true
    while kill -0 "$job" 2>/dev/null; do sleep 0.01; done
    saved=$(digests "$folder/killed.log" | sort -n | tail -n 1)
    if [ -n "$saved" ]; then
        run "$ranks" "$folder/before/run" until "${saved%% *}" >"$folder/left-alone.log" 2>&1
        if [ "$(digests "$folder/killed.log")" != "$(digests "$folder/left-alone.log")" ]; then
            echo "$ranks ranks that were killed have saved other bits than those left alone:" >&2
            diff <(digests "$folder/killed.log") <(digests "$folder/left-alone.log") >&2
            exit 1
        fi
        compared=$((compared + $(digests "$folder/killed.log" | wc -l)))
    fi
    if [ -n "$(accuracy "$folder/killed.log")" ]; then
        # It came to its end before it was killed: the next one begins anew.
        finished=$((finished + 1))
        rm -rf "$folder/job"
        mkdir "$folder/job"
    fi
done
run 3 "$folder/job/run" >"$folder/last.log" 2>&1
reached=$(accuracy "$folder/last.log")
echo "Killed $kills times: $compared checkpoints had the bits of jobs left alone; $finished jobs ended before they were killed."
echo "The last job, on 3 ranks, recognizes $reached%."
awk -v a="$expected" -v b="$reached" 'BEGIN { exit !(b >= a - 2) }' || {
    echo "That is worse than what a job does that nobody disturbs." >&2
    exit 1
}
left=$(find "$folder/job" -type f | wc -l)
if ((left > 4)); then
    echo "There are $left files beside the last checkpoint, of which 4 belong to it:" >&2
    ls -la "$folder/job" >&2
    exit 1
fi
