# shellcheck shell=bash
# Compiles in the coffer-build container (trixie); sources read-only, objects in build/trixie.

in_build_container() { # command...
    mkdir -p "$ROOT/build/trixie" "$DEV_DIR/ccache"
    docker run --rm --init --user "$(id -u):$(id -g)" --network none \
        -v "$ROOT:/src:ro" -v "$ROOT/build/trixie:/build" -v "$DEV_DIR/ccache:/ccache" \
        -e HOME=/tmp -e CCACHE_DIR=/ccache -w /build coffer-build "$@"
}

compile_binaries() {
    if [[ ! -f $ROOT/build/trixie/build.ninja ]]; then
        in_build_container cmake -S /src -B /build --preset cluster
    fi
    in_build_container ninja -C /build
}
