# shellcheck shell=bash
# Compiles in the coffer-build container (trixie); sources read-only, objects in build/trixie.

in_build_container() { # [--volume FOLDER --] command...
    local folder=build/trixie
    if [[ $1 == --volume ]]; then
        folder=$2
        shift 3
    fi
    mkdir -p "$ROOT/$folder" "$DEV_DIR/ccache"
    docker run --rm --init --user "$(id -u):$(id -g)" --network none \
        -v "$ROOT:/src:ro" -v "$ROOT/$folder:/build" -v "$DEV_DIR/ccache:/ccache" \
        -e HOME=/tmp -e CCACHE_DIR=/ccache -w /build coffer-build "$@"
}

# What the cluster and the guest image run; tests are compiled where they are run.
PROGRAMS=(coffer coffer-api-gateway coffer-scheduler coffer-host-agent coffer-guest-agent
    coffer-attester coffer-e2e-tap coffer-e2e-liar)

compile_binaries() {
    [[ -f $ROOT/build/trixie/build.ninja ]] || in_build_container cmake -S /src -B /build --preset cluster
    in_build_container ninja -C /build "${PROGRAMS[@]}"
    local program
    for program in "${PROGRAMS[@]}"; do
        [[ -x $ROOT/build/trixie/bin/$program ]] || {
            echo "error: the build made no program '$program'"
            return 1
        }
    done
}
