#!/usr/bin/env bash
# Checks the command `swift package new-stage`: what it makes builds and passes its tests outside the repository, it names
# the dependency as its caller does, and it refuses what it should.
#
#     bash Tests/Scaffold/new-stage.sh
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
work=$(cd "$(mktemp -d)" && pwd -P)
trap 'rm -rf "$work"' EXIT

failures=0
fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

# Calls the command in a package; a build folder of its own lets it run while another build has the usual one.
new_stage() {
    local package=$1
    shift
    swift package --disable-dependency-cache --package-path "$package" --scratch-path "$work/build-$(basename "$package")" \
        --allow-writing-to-package-directory --allow-writing-to-directory "$work" new-stage "$@" 2>&1
}

expect_refusal() {
    local what=$1 message=$2 output
    shift 2
    if output=$(new_stage "$repository" "$@"); then
        fail "$what was not refused"
    elif [[ $output != *"$message"* ]]; then
        fail "$what: \"$message\" is not in: $output"
    fi
}

expect_line() {
    grep -qF -- "$2" "$1" || fail "$1 has no line with: $2"
}

# How a manifest in a folder should name this checkout: relative, unless they share nothing but the root.
path_from() {
    python3 -c 'import os, sys; a, b = sys.argv[1:]; print(os.path.relpath(a, b) if a.split("/")[1] == b.split("/")[1] else a)' \
        "$repository" "$1"
}

# A package that depends on this one in some way, to call the command in.
make_caller() {
    local folder=$work/$1 dependency=$2 package=$3
    mkdir -p "$folder/Sources/Caller"
    echo 'import DescentCore' >"$folder/Sources/Caller/Caller.swift"
    cat >"$folder/Package.swift" <<EOF
// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "$1", platforms: [.macOS(.v15)],
    dependencies: [$dependency],
    targets: [
        .target(name: "Caller", dependencies: [.product(name: "DescentCore", package: "$package")])
    ])
EOF
}

echo "-- refusals"
expect_refusal "a name that is none" "What about GradientNoise?" gradient-noise
expect_refusal "a name that begins with a digit" "GradientNoise would do" 3d
expect_refusal "a name that is taken" "not one that is taken" Float
expect_refusal "no name" "one name is needed, and there is none"
expect_refusal "two names" "these are 2: First, Second" First Second
expect_refusal "an unknown option" "there is no option --colour" GradientNoise --colour
mkdir "$work/full" && touch "$work/full/file"
expect_refusal "a folder that is not empty" "is not empty" GradientNoise --folder "$work/full"
help=$(new_stage "$repository" --help)
[[ $help == usage:* ]] || fail "--help prints: $help"

echo "-- from the repository, to a folder outside it"
new_stage "$repository" GradientNoise --folder "$work/stages/GradientNoise"
expect_line "$work/stages/GradientNoise/Package.swift" \
    ".package(name: \"swift-descent\", path: \"$(path_from "$work/stages/GradientNoise")\")"
(cd "$work/stages/GradientNoise" && swift format lint --strict --configuration "$repository/.swift-format" -r .)
tests=$(swift test --package-path "$work/stages/GradientNoise" -Xswiftc -warnings-as-errors 2>&1) ||
    fail "the tests of what was made: $tests"
[[ $tests == *"Test run with 4 tests"*passed* ]] || fail "four tests should have passed: $tests"

echo "-- from a package that depends on a checkout"
make_caller local-caller ".package(name: \"swift-descent\", path: \"$repository\")" swift-descent
new_stage "$work/local-caller" Softening
made=$work/local-caller/Plugins/Softening
expect_line "$made/Package.swift" ".package(name: \"swift-descent\", path: \"$(path_from "$made")\")"
swift package --package-path "$made" dump-package >/dev/null || fail "the manifest of $made"

echo "-- from a package that depends on a revision"
if git -C "$repository" rev-parse HEAD >/dev/null 2>&1; then
    git clone --quiet "$repository" "$work/swift-descent"
    revision=$(git -C "$work/swift-descent" rev-parse HEAD)
    make_caller remote-caller ".package(url: \"file://$work/swift-descent\", revision: \"$revision\")" swift-descent
    new_stage "$work/remote-caller" Softening --folder ../Softening
    expect_line "$work/Softening/Package.swift" "$work/swift-descent/\", revision: \"$revision\")"
    swift package --disable-dependency-cache --package-path "$work/Softening" describe >/dev/null || fail "the manifest of $work/Softening"
    echo "-- in a checkout, to a folder in it, to one beside it, and through a link to one elsewhere"
    mkdir -p "$work/deep/er" && ln -s "$work/deep/er" "$work/link"
    for place in "Plugins/Hardening ../.." "../Hardening ../swift-descent" "../link/Hardening ../../../swift-descent"; do
        read -r folder path <<<"$place"
        new_stage "$work/swift-descent" Hardening --folder "$folder"
        made=$work/swift-descent/$folder
        expect_line "$made/Package.swift" ".package(name: \"swift-descent\", path: \"$path\")"
        swift package --package-path "$made" describe >/dev/null || fail "the manifest of $made"
    done
else
    echo "skipped: $repository is not a git repository"
fi

if [ "$failures" -gt 0 ]; then
    echo "$failures checks of new-stage failed" >&2
    exit 1
fi
echo "new-stage does what it should"
