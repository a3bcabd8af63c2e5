# shellcheck shell=bash
# The dev cluster: start, stop, look inside.

compose() {
    local files=(-f "$ROOT/compose/compose.yaml") base=(docker-compose)
    ! docker compose version > /dev/null 2>&1 || base=(docker compose)
    [[ ! -f $DEV_DIR/kvm ]] || files+=(-f "$ROOT/compose/kvm.yaml")
    "${base[@]}" "${files[@]}" "$@"
}

cluster_running() { [[ -n $(compose ps -q nats 2> /dev/null) ]]; }

# Containers are made anew when what they run changed.
export_build_ids() {
    local bin=$ROOT/build/trixie/bin
    export COFFER_BUILD_SCHEDULER COFFER_BUILD_API_GATEWAY
    COFFER_BUILD_SCHEDULER=$(hash_of "$bin/coffer-scheduler" "$FLEET/fleet.json")
    COFFER_BUILD_API_GATEWAY=$(hash_of "$bin/coffer-api-gateway" "$FLEET/fleet.json")
}

# A host keeps its VMs when its agent is replaced, so the agent alone is restarted.
restart_changed_agents() {
    local key host
    key=$(hash_of "$ROOT/build/trixie/bin/coffer-host-agent")
    for host in host-1 host-2; do
        if [[ -f $STAMP_DIR/agent-$host && $(< "$STAMP_DIR/agent-$host") != "$key" ]]; then
            compose exec -T "$host" sv restart /opt/coffer/host/service/host-agent
        fi
        printf '%s' "$key" > "$STAMP_DIR/agent-$host"
    done
}

start_containers() {
    export_build_ids
    compose up -d --remove-orphans
    restart_changed_agents
}

wait_for() { # seconds, what, command...
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if ((SECONDS >= deadline)); then
            echo "error: $what did not get ready"
            return 1
        fi
        sleep 0.3
    done
}

gateway_ready() { curl -fsS -o /dev/null "http://127.0.0.1:${COFFER_GATEWAY_PORT:-8080}/health" 2> /dev/null; }

pebble_root() {
    curl -fsS --cacert "$SECRETS/ca/ca.pem" --resolve "pebble.coffer.test:15000:$NET.1.14" \
        https://pebble.coffer.test:15000/roots/0 -o "$DEV_DIR/pebble-root.pem" 2> /dev/null
}

wait_cluster() {
    wait_for 60 "pebble" pebble_root
    wait_for 60 "registry" curl -so /dev/null --cacert "$SECRETS/ca/ca.pem" "https://$NET.1.10:5000/v2/"
    wait_for 60 "api-gateway" gateway_ready || {
        compose logs --tail 20 scheduler api-gateway
        return 1
    }
}

cluster_up() {
    stage "containers" start_containers
    stage "control plane ready" wait_cluster
    ensure_examples
}

# A command line that still follows a log would hold the network.
compose_down() { # options of compose down
    docker ps -aq --filter "label=coffer.cli=$COMPOSE_PROJECT_NAME" | xargs -r docker rm -f
    compose down --remove-orphans -t 5 "$@"
}

cluster_down() { # --all: also the engine that we started
    if engine_answers; then
        stage "stop containers" compose_down
    fi
    [[ ${1:-} != --all ]] || stage "stop docker engine" stop_own_engine
}

# Everything the cluster ever knew: volumes, keys, certificates. Compiled code and images stay.
cluster_reset() {
    ensure_engine
    stage "remove containers and volumes" compose_down -v
    rm -rf "$SECRETS" "$FLEET" "$DEV_DIR/cli" "$STAMP_DIR"/agent-* "$STAMP_DIR/fleet"
}

cluster_status() {
    local host
    compose ps
    for host in host-1 host-2; do
        say "" "${BOLD}VMs on $host$RESET"
        compose exec -T "$host" virsh -q list 2> /dev/null || say "  (not running)"
    done
}

cluster_logs() { compose logs --tail "${COFFER_LOG_LINES:-100}" "$@"; }

cluster_shell() { # service, command...
    local service=${1:-host-1}
    shift || true
    (($#)) || set -- bash
    compose exec "$service" "$@"
}

# Options of docker run that pass on the environment values which deploy's --env names.
passed_environment() { # arguments of coffer
    local before=''
    for argument in "$@"; do
        [[ $before != --env ]] || printf '%s\n' -e "$argument"
        [[ $argument != --env=* ]] || printf '%s\n' -e "${argument#--env=}"
        before=$argument
    done
}

# The command line tool, as somebody on the internet: in the world network, with the cluster's DNS.
# Its home is build/dev/cli, which has the gateway's address and an API key.
coffer_cli() {
    local options=(--rm -i --init --label "coffer.cli=$COMPOSE_PROJECT_NAME" --network "${COMPOSE_PROJECT_NAME}_world" --dns "$NET.1.53")
    local environment
    [[ ! -t 0 || ! -t 1 ]] || options+=(-t)
    mapfile -t environment < <(passed_environment "$@")
    mkdir -p "$DEV_DIR/cli"
    COFFER_REGISTRY_PASSWORD=${COFFER_REGISTRY_PASSWORD:-$(cat "$SECRETS/registry/password")} \
        docker run "${options[@]}" "${environment[@]}" -e COFFER_REGISTRY_PASSWORD \
        -v "$ROOT:$ROOT" -w "$PWD" -e HOME="$DEV_DIR/cli" \
        -e COFFER_ADMIN_KEY_FILE="$DEV_DIR/cli/.config/coffer/admin-key" \
        coffer-control "$ROOT/build/trixie/bin/coffer" "$@"
}
