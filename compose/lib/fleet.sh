# shellcheck shell=bash
# Keys and files of the fleet (`coffer fleet init`), and each service's settings in build/dev/env.

FLEET=$DEV_DIR/fleet

coffer_offline() { # the command line tool without any network
    docker run --rm --user "$(id -u):$(id -g)" --network none -v "$ROOT:$ROOT" -w "$ROOT" \
        coffer-control "$ROOT/build/trixie/bin/coffer" "$@"
}

make_fleet() {
    (
        umask 077
        rm -rf "$FLEET.new"
        coffer_offline fleet init "$FLEET.new" --host host-1 --host host-2
        rm -rf "$FLEET"
        mv "$FLEET.new" "$FLEET"
    )
}

ensure_fleet() {
    [[ -d $FLEET ]] || stage "fleet keys (coffer fleet init)" make_fleet
    stage "settings" write_settings
}
