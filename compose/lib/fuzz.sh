# shellcheck shell=bash
# ./dev fuzz [long|SECONDS [PATTERN]]: every fuzz target for ten minutes, an hour, or as long as said.

run_fuzz() {
    local seconds=${1:-600} pattern=${2:-.} log=$LOG_DIR/fuzz.log rc=0
    [[ $seconds != long ]] || seconds=3600
    [[ $seconds =~ ^[1-9][0-9]*$ ]] || die "how long? seconds, or long for an hour each"
    setup_packages demo test fuzz
    stage "compile fuzz targets (clang, ASan, UBSan)" compile_fuzzers
    say "  $seconds s for each target, $(nproc) at a time; log: build/dev/logs/fuzz.log"
    COFFER_FUZZ_SECONDS=$seconds ctest --test-dir "$ROOT/build/fuzz" -R "^fuzz_.*$pattern" \
        -j "$(nproc)" --timeout $((seconds + 120)) --verbose > "$log" 2>&1 || rc=$?
    print_fuzz_runs "$log"
    grep -E '^[0-9]+% tests passed' "$log" || say "no summary: the runner ended early"
    return "$rc"
}

# ctest puts a test's number before each line of its output: libFuzzer's "Done N runs", and the result.
print_fuzz_runs() { # log
    awk '/^[0-9]+: Done / { split($1, number, ":"); runs[number[1]] = $3 }
        /^ *[0-9]+\/[0-9]+ Test +#/ {
            split($0, half, "#"); split(half[2], word, "[: ]+")
            printf "  %-28s %12s runs  %s\n", word[2], runs[word[1]], ($0 ~ /Passed/ ? "no finding" : "FAILED")
        }' "$1"
}

compile_fuzzers() {
    [[ -f $ROOT/build/fuzz/build.ninja ]] || cmake -S "$ROOT" --preset fuzz
    cmake --build "$ROOT/build/fuzz"
}
