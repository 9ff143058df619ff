# Sourced by the suites: finding the project, building a preset, counting.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
passed=0
failed=0
skipped=0

# Two compilers at a time: small machines are shared, and a fresh one has two cores.
jobs=2

pass() {
    passed=$((passed + 1))
}

fail() {
    failed=$((failed + 1))
    echo "FAILED: $*"
}

skip() {
    skipped=$((skipped + 1))
    echo "skipped: $*"
}

# The closing line that tests/run reads, and the exit status that goes with it.
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}

# build_preset NAME: configures and builds; quiet unless it fails.
build_preset() {
    local log="$root/build/$1.log"
    mkdir -p "$root/build"
    (cd "$root" && cmake --preset "$1" && cmake --build --preset "$1" -j "$jobs") >"$log" 2>&1 && return
    tail -n 40 "$log"
    return 1
}

# build_hooks: the test build of the program, build/release/tests/oriori (tests/hooks/README.md).
build_hooks() {
    local log="$root/build/hooks.log"
    (cd "$root" && cmake --preset release -DORIORI_TEST_HOOKS=ON &&
        cmake --build --preset release --target oriori_hooks -j "$jobs") >"$log" 2>&1 && return
    tail -n 40 "$log"
    return 1
}
