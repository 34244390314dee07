#!/usr/bin/env bash
# Checks that the language model can be interrupted: it saves, says how to go on, and ends with the same bits.
#
#     swift build -c release --product language-model && bash Tests/Scaffold/language-model.sh
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
program=$repository/.build/release/language-model
work=$(cd "$(mktemp -d)" && pwd -P)
process=
trap 'if [ -n "$process" ]; then kill -KILL "$process" 2>/dev/null || true; fi; rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# Too few steps to beat the bigram model, which is status 1.
steps=16
cd "$work"
echo "-- a run that nobody disturbs"
status=0
"$program" --steps "$steps" --checkpoint whole.safetensors >whole.txt 2>whole.err || status=$?
[ "$status" = 1 ] || fail "after $steps steps, the status was $status: $(cat whole.err)"
grep -q "does not predict better" whole.err || fail "status 1 without the reason: $(cat whole.err)"

# Sends a signal to a run once it trains, and expects a checkpoint, a command and a status.
interrupt() {
    local signal=$1 expected=$2 begun="^Activations kept"
    shift 2
    : >part.txt
    "$@" >>part.txt 2>part.err &
    process=$!
    until grep -q "$begun" part.txt; do
        kill -0 "$process" 2>/dev/null || fail "it ended by itself: $(cat part.err)"
        sleep 0.1
    done
    sleep 0.5
    kill -"$signal" "$process"
    status=0
    wait "$process" || status=$?
    process=
    [ "$status" = "$expected" ] || fail "after $signal, the status was $status: $(cat part.txt part.err)"
    grep "^Stopped after step" part.txt || fail "after $signal, it said: $(cat part.txt)"
    command=$(sed -n 's/^  \(.* --resume .*\)$/\1/p' part.txt)
    [ -n "$command" ] || fail "it did not say how to go on: $(cat part.txt)"
}

echo "-- interrupted by SIGINT, and in the run that goes on by SIGTERM"
mkdir "a folder"
interrupt INT 130 "$program" --steps "$steps" --checkpoint "a folder/part.safetensors"
interrupt TERM 143 bash -c "exec $command"
echo "-- to the end"
status=0
bash -c "$command" >end.txt 2>end.err || status=$?
[ "$status" = 1 ] || fail "after resuming, the status was $status: $(cat end.err)"
cmp whole.safetensors "a folder/part.safetensors" || fail "the resumed run has other bits"
[ "$(tail -n 1 whole.txt)" = "$(tail -n 1 end.txt)" ] || fail "the resumed run has another loss"
[ "$(ls -A "a folder")" = part.safetensors ] || fail "files are left over: $(ls -A "a folder")"
echo "the language model goes on with the same bits"
