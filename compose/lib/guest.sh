# shellcheck shell=bash
# The guest image: built by its own recipe inside the coffer-build container, into build/image.

# What decides the image: the recipe and the two programs of ours inside it.
guest_image_key() {
    hash_of "$ROOT/services/guest-agent/image" \
        "$ROOT/build/trixie/bin/coffer-guest-agent" "$ROOT/build/trixie/bin/coffer-attester" \
        "$FLEET/release"
}

# No rights beyond a plain container's: packages are extracted, not installed. A running VM keeps the
# files it has open: the new image takes the old one's name only when it is complete.
build_guest_image() {
    local new=build/image.new
    rm -rf "${ROOT:?}/$new"
    mkdir -p "$ROOT/$new" "$ROOT/build/image" "$DEV_DIR/cache/guest"
    docker run --rm --init -e COFFER_MIRROR="${COFFER_DEBIAN_MIRROR:-}" \
        -v "$ROOT:/src:ro" -v "$ROOT/build/trixie/bin:/bin-trixie:ro" \
        -v "$ROOT/$new:/out" -v "$DEV_DIR/cache/guest:/cache" coffer-build \
        /src/services/guest-agent/image/build --version "$1" --bin /bin-trixie --out /out --cache /cache
    coffer_offline image seal "$new" --key "$FLEET/release/sign.key"
    rm -rf "${ROOT:?}/build/image/$1"
    mv "$ROOT/$new" "$ROOT/build/image/$1"
}

image_version() { sed -n 's/^project(coffer VERSION \([^ ]*\).*/\1/p' "$ROOT/CMakeLists.txt"; }

ensure_guest_image() {
    [[ -s $ROOT/build/image/$(image_version)/image.json ]] || rm -f "$STAMP_DIR/guest-image"
    stage_once guest-image "$(guest_image_key)" "guest image" build_guest_image "$(image_version)"
}
