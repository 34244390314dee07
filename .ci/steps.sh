# What the checks share: `source` it after changing to the top of the repository.
#
# `step "what it is" command arguments...` runs a command and notes how long it took; the script stops at the first that
# fails, and says at its end, however it comes, how long each step took.

current=""
times=""

step() {
    current=$1
    shift
    started=$SECONDS
    echo
    echo "== $current: $*"
    "$@"
    note "ok"
    current=""
}

note() { times+=$(printf '%7d s  %-6s  %s' $((SECONDS - started)) "$1" "$current")$'\n'; }

# Notes a step that cannot be run here, with the reason.
leave_out() {
    started=$SECONDS
    current="$1 ($2)"
    note "none"
    current=""
}

finish() {
    status=$?
    if [ -n "$current" ]; then note "FAILED"; fi
    echo
    printf '%s' "$times"
    if [ "$status" -eq 0 ]; then
        echo "All steps passed."
    elif [ -n "$current" ]; then
        echo "Step \"$current\" failed with status $status."
    else
        echo "Stopped between steps with status $status."
    fi
}
trap finish EXIT

# Where packages under Plugins are built: together, since all of them build the root package too.
export DESCENT_SCRATCH="$PWD/.build/plugins"

# Runs the tests of a package under Plugins.
plugin() { swift test --package-path "Plugins/$1" --scratch-path "$DESCENT_SCRATCH"; }

# Tests DescentMLX where mlx-swift can be fetched and built, and says where it cannot.
mlx_plugin() {
    export SPM_CUDA=0 MLX_DISABLE_COMPILE=1
    if ! timeout 300 swift package --package-path Plugins/DescentMLX resolve; then
        leave_out "DescentMLX" "mlx-swift cannot be fetched here"
    elif [ "$(uname)" != Darwin ] && grep -q '"MLXFast.swift"' Plugins/DescentMLX/.build/checkouts/mlx-swift/Package.swift; then
        leave_out "DescentMLX" "mlx-swift leaves out sources on Linux that it needs; see the plugin's README"
    else
        step "DescentMLX" swift test --package-path Plugins/DescentMLX
    fi
}

# Runs tests with a sanitizer, in a build of its own.
# (XCTest is left out because it leaks by itself, which the address sanitizer would count as a failure.)
sanitized() {
    local sanitizer=$1
    shift
    swift test --disable-xctest --sanitize "$sanitizer" --scratch-path ".build/$sanitizer" "$@"
}

# Makes a Python environment with what tests read files with, beside the build, and has tests use it.
python_environment() {
    python3 -m venv .build/python && .build/python/bin/pip install --quiet tensorboard safetensors numpy
    export DESCENT_PYTHON="$PWD/.build/python/bin/python"
}

# Installs the MPI that DescentMPI is built on, where it is not.
install_mpi() {
    if pkg-config --exists ompi-c && command -v mpirun; then return; fi
    local sudo=""
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
    $sudo apt-get update -qq && $sudo apt-get install -qq -y libopenmpi-dev openmpi-bin
}

# Installs the BLAS that DescentMuon is built on, where it is not; Apple's systems have one.
install_blas() {
    if [ "$(uname)" = Darwin ] || pkg-config --exists openblas; then return; fi
    local sudo=""
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
    $sudo apt-get update -qq && $sudo apt-get install -qq -y libopenblas-dev
}
