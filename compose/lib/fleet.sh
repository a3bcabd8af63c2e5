# shellcheck shell=bash
# Keys and files of the fleet (`coffer fleet init`).

FLEET=$DEV_DIR/fleet

coffer_offline() { # the command line tool without any network
    docker run --rm --user "$(id -u):$(id -g)" --network none -v "$ROOT:$ROOT" -w "$ROOT" \
        coffer-control "$ROOT/build/trixie/bin/coffer" "$@"
}

# fleet init keeps keys that are there. trust/ is the public half of the development root, which is
# all that a verifier gets.
make_fleet() {
    # Volumes of a cluster whose keys are gone (another checkout, a removed build folder) are of no
    # use to anyone, and would be taken for this cluster's.
    [[ -f $FLEET/fleet.json ]] || compose_down -v
    (
        umask 077
        coffer_offline fleet init build/dev/fleet --host host-1 --host host-2 --dev-tee \
            --workload-domain coffer.test
        mkdir -p "$FLEET/trust"
        cp "$FLEET"/tee-root/a[rs]k.pem "$FLEET/trust/"
    )
}

ensure_fleet() {
    stage_once fleet "$(hash_of "$FLEET/fleet.json" "$FLEET/nats/hub.conf")" "fleet keys" make_fleet
    # what is written decides the next key
    hash_of "$FLEET/fleet.json" "$FLEET/nats/hub.conf" > "$STAMP_DIR/fleet"
}
