# shellcheck shell=bash
# The guest image: built by its own recipe inside the coffer-build container, into build/image.

# What decides the image: the recipe and the two programs of ours inside it.
guest_image_key() {
    hash_of "$ROOT/services/guest-agent/image" \
        "$ROOT/build/trixie/bin/coffer-guest-agent" "$ROOT/build/trixie/bin/coffer-attester" \
        "$FLEET/release"
}

# No rights beyond a plain container's: packages are extracted, not installed.
build_guest_image() {
    local out=build/image/$1
    mkdir -p "$ROOT/$out" "$DEV_DIR/cache/guest"
    docker run --rm --init -e COFFER_MIRROR="${COFFER_DEBIAN_MIRROR:-}" \
        -v "$ROOT:/src:ro" -v "$ROOT/build/trixie/bin:/bin-trixie:ro" \
        -v "$ROOT/$out:/out" -v "$DEV_DIR/cache/guest:/cache" coffer-build \
        /src/services/guest-agent/image/build --version "$1" --bin /bin-trixie --out /out --cache /cache
    coffer_offline image seal "$out" --key "$FLEET/release/sign.key"
}

image_version() { sed -n 's/^project(coffer VERSION \([^ ]*\).*/\1/p' "$ROOT/CMakeLists.txt"; }

ensure_guest_image() {
    stage_once guest-image "$(guest_image_key)" "guest image" build_guest_image "$(image_version)"
}
