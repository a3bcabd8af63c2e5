# shellcheck shell=bash
# The Docker engine: use the one that answers, else start one.

engine_answers() { docker version --format '{{.Server.Version}}' > /dev/null 2>&1; }

start_engine() {
    if [[ -d /run/systemd/system ]]; then
        systemctl start docker
    else
        setsid nohup dockerd > "$DEV_DIR/dockerd.log" 2>&1 < /dev/null 9>&- &
        echo $! > "$DEV_DIR/dockerd.pid"
    fi
    for _ in $(seq 300); do
        engine_answers && return 0
        sleep 0.2
    done
    tail -n 20 "$DEV_DIR/dockerd.log" 2> /dev/null || true
    echo "error: the docker engine did not answer within a minute"
    return 1
}

ensure_engine() {
    engine_answers && return 0
    ((EUID == 0)) || die "the docker engine does not answer for this user; try: sudo ./dev $VERB"
    command -v dockerd > /dev/null || die "no docker engine; install with: ./dev setup"
    stage "docker engine" start_engine
}

# Stops only an engine that this checkout started.
stop_own_engine() {
    local pid
    [[ -f $DEV_DIR/dockerd.pid ]] || return 0
    pid=$(< "$DEV_DIR/dockerd.pid")
    rm -f "$DEV_DIR/dockerd.pid"
    [[ -r /proc/$pid/comm && $(< "/proc/$pid/comm") == dockerd ]] || return 0
    kill "$pid"
    for _ in $(seq 100); do
        [[ -d /proc/$pid ]] || return 0
        sleep 0.2
    done
    echo "error: dockerd ($pid) is still running"
    return 1
}
