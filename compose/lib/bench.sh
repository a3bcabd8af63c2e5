# shellcheck shell=bash
# The figures of a running cluster: printed, never asserted.

idle_memory() { # program
    local kib
    kib=$(compose exec -T "$1" sh -c "grep -h VmRSS /proc/\$(pidof coffer-$2)/status" 2> /dev/null | tr -dc 0-9)
    printf '  %-40s %3d.%d MB\n' "$2 resident" $((${kib:-0} / 1024)) $((${kib:-0} % 1024 * 10 / 1024))
}

# openssl speed's "384 bits ecdsa (nistp384) 0.0003s 0.0006s 3471.6 1552.2": verifications a second.
raw_verify_rate() { awk '/nistp384/ { rate = $NF } END { print rate + 0 }' "$1"; }

# openssl speed ran before and after: the faster of the two is what we are held against.
print_share_of_openssl() { # speed logs before and after, figures
    awk -v before="$(raw_verify_rate "$1")" -v after="$(raw_verify_rate "$2")" '
        /verify, chain cached/ {
            best = before > after ? before : after
            printf "  verify, chain cached, of openssl speed   %8.1f %%  (%.0f of %.0f /s)\n", 100 * $4 / best, $4, best
        }' "$3"
}

speed_of_openssl() { in_build_container openssl speed -seconds 3 ecdsap384 2> /dev/null; }

# One thread, and the raw signature rate of the same library beside it.
bench_attest() {
    local log=$LOG_DIR/bench-attest
    setup_packages demo
    ensure_engine
    ensure_images coffer-build
    stage "compile (trixie, software TEE)" in_build_container sh -c \
        "[ -f build.ninja ] || cmake -S /src -B /build --preset cluster; ninja bench_attest coffer"
    say "${BOLD}openssl speed ecdsap384${RESET}"
    speed_of_openssl | tee "$log.before" | sed 's/^/  /'
    say "${BOLD}judging evidence${RESET}"
    in_build_container bin/bench_attest /src/tests/fuzz/launch/smallest | tee "$log"
    speed_of_openssl > "$log.after"
    print_share_of_openssl "$log.before" "$log.after" "$log"
    say "${BOLD}size${RESET}"
    in_build_container sh -c 'strip -o /tmp/coffer bin/coffer; stat -c "  coffer, stripped: %s bytes" /tmp/coffer'
}

# The gateway, its servers and who asks it, all in one container on the same two cores.
bench_gateway() {
    setup_packages demo
    ensure_engine
    ensure_images coffer-build
    stage "compile (trixie, software TEE)" in_build_container sh -c \
        "[ -f build.ninja ] || cmake -S /src -B /build --preset cluster; ninja bench_gateway"
    say "${BOLD}the gateway under load${RESET}"
    in_build_container bin/bench_gateway "$@" | tee "$LOG_DIR/bench-gateway"
}

run_bench() {
    case ${1:-} in
    attest | gateway)
        "bench_$1" "${@:2}"
        return
        ;;
    esac
    cluster_running || die "the cluster is not running; start it with: ./dev demo"
    say "${BOLD}idle memory${RESET}"
    idle_memory api-gateway api-gateway
    idle_memory scheduler scheduler
    idle_memory host-1 host-agent
    say "${BOLD}from VM start to running${RESET}"
    [[ -s $DEV_DIR/hello.json ]] || die "no deploy to look at yet; make one with: ./dev demo"
    coffer_cli events "$(jq -r .workloadId "$DEV_DIR/hello.json")" | sed 's/^/  /'
}
