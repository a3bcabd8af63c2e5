# shellcheck shell=bash
# ./dev test [unit|integration|vectors|e2e|all]: each runner's own summary lines close the output.

TEST_SUMMARY=$DEV_DIR/test-summary

# ctest prints to the log; its summary and the failed tests are what a person needs.
run_ctest() { # title, command...
    local title=$1 log=$LOG_DIR/ctest-$1.log start rc=0
    shift
    start=$(now_ms)
    [[ -t 1 ]] || printf '  %-48s ' "tests: $title"
    "$@" > "$log" 2>&1 || rc=$?
    [[ -t 1 ]] && printf '  %-48s ' "tests: $title"
    format_ms $(($(now_ms) - start))
    echo
    {
        say "$title:"
        grep -E '^[0-9]+% tests passed|^No tests were found' "$log" || say "no summary: the runner ended early"
    } | sed 's/^/  /' >> "$TEST_SUMMARY"
    if ((rc)); then
        sed -n '/The following tests FAILED/,$p' "$log" | sed 's/^/    /'
        grep -E '\[  FAILED  \]|ERROR: (Address|Leak)|runtime error|\[   LINE   \]' "$log" | head -n 20 | sed 's/^/    /'
        say "  whole log: ${log#"$ROOT"/}"
    fi
    return "$rc"
}

compile_host() {
    cmake -S "$ROOT" -B "$ROOT/build/unit" --preset dev
    cmake --build "$ROOT/build/unit"
}

test_unit() {
    setup_packages demo test
    stage "compile for this host (ASan, UBSan)" compile_host
    run_ctest unit ctest --test-dir "$ROOT/build/unit" -L unit --output-on-failure --no-tests=error -j "$(nproc)"
}

test_vectors() {
    setup_packages demo test
    stage "compile for this host (ASan, UBSan)" compile_host
    local rc=0
    run_ctest vectors ctest --test-dir "$ROOT/build/unit" -L vectors --verbose --no-tests=error -j "$(nproc)" || rc=$?
    print_vectors "$LOG_DIR/ctest-vectors.log"
    return "$rc"
}

# One line for each piece of recorded evidence, for each recipe that spoils it, and for all pairs.
print_vectors() { # log of ctest --verbose
    sed -nE 's/^[0-9]+: ((vector|recipe|[0-9]+ pairs) .*)/    \1/p; s/^[0-9]+: (.*skipped.*)/    \1/p' "$1" | sort -u
}

compile_sanitized() {
    in_build_container --volume build/trixie-asan -- cmake -S /src -B /build --preset dev
    in_build_container --volume build/trixie-asan -- ninja -C /build
}

# Needs nats-server 2.10 and the other engines of trixie, so it runs where they are.
test_integration() {
    setup_packages demo
    ensure_engine
    ensure_images coffer-thirdparty coffer-build
    stage "compile for trixie (ASan, UBSan)" compile_sanitized
    run_ctest integration in_build_container --volume build/trixie-asan -- \
        ctest --test-dir /build -L integration --output-on-failure --no-tests=error
}

test_e2e() {
    local rc=0 log=$LOG_DIR/e2e.log
    cluster_prepare
    cluster_up
    stage "VMs are isolated" "$ROOT/tests/dev/isolation"
    "$ROOT/tests/e2e/run" 2>&1 | tee "$log" || rc=$?
    { say "  e2e:"; grep -E '(passed|failed|error).* in [0-9.]+s' "$log" || say "no summary: the runner ended early"; } |
        sed 's/^/  /' >> "$TEST_SUMMARY"
    [[ -z ${CI:-} ]] || cluster_reset_for_ci
    return "$rc"
}

cluster_reset_for_ci() { stage "remove containers and volumes" compose_down -v; }

run_tests() {
    local kind rc=0 kinds=("$@")
    case ${1:-all} in
    all) kinds=(unit vectors integration e2e) ;;
    unit | vectors | integration | e2e) ;;
    *) die "unknown kind of test '$1': unit, vectors, integration, e2e, all" ;;
    esac
    : > "$TEST_SUMMARY"
    for kind in "${kinds[@]}"; do
        # not in a condition: there, bash would ignore errors inside
        set +e
        (
            set -e
            test_"$kind"
        )
        rc=$((rc | $?))
        set -e
    done
    [[ -z ${CI:-} ]] || stage "stop docker engine" stop_own_engine
    say "" "Summary"
    cat "$TEST_SUMMARY"
    return "$rc"
}
