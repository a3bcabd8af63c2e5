# shellcheck shell=bash
# The figures of a running cluster: printed, never asserted.

idle_memory() { # program
    local kib
    kib=$(compose exec -T "$1" sh -c "grep -h VmRSS /proc/\$(pidof coffer-$2)/status" 2> /dev/null | tr -dc 0-9)
    printf '  %-40s %3d.%d MB\n' "$2 resident" $((${kib:-0} / 1024)) $((${kib:-0} % 1024 * 10 / 1024))
}

run_bench() {
    cluster_running || die "the cluster is not running; start it with: ./dev demo"
    say "${BOLD}idle memory${RESET}"
    idle_memory api-gateway api-gateway
    idle_memory scheduler scheduler
    idle_memory host-1 host-agent
    say "${BOLD}from VM start to running${RESET}"
    [[ -s $DEV_DIR/hello.json ]] || die "no deploy to look at yet; make one with: ./dev demo"
    coffer_cli events "$(jq -r .workloadId "$DEV_DIR/hello.json")" | sed 's/^/  /'
}
