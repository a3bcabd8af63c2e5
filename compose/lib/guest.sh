# shellcheck shell=bash
# The guest image: built by its own recipe inside the coffer-build container, into build/image.

# What decides the image: the recipe and the two programs of ours inside it.
guest_image_key() {
    hash_of "$ROOT/services/guest-agent/image" \
        "$ROOT/build/trixie/bin/coffer-guest-agent" "$ROOT/build/trixie/bin/coffer-attester"
}

# The recipe extracts packages and makes device nodes, which needs a container with mount rights.
build_guest_image() {
    mkdir -p "$ROOT/build/image" "$DEV_DIR/cache/guest"
    docker run --rm --init --cap-add SYS_ADMIN --security-opt apparmor=unconfined \
        --security-opt seccomp=unconfined \
        -e COFFER_MIRROR="${COFFER_DEBIAN_MIRROR:-}" \
        -v "$ROOT:/src:ro" -v "$ROOT/build/trixie/bin:/bin-trixie:ro" \
        -v "$ROOT/build/image:/out" -v "$DEV_DIR/cache/guest:/cache" coffer-build \
        /src/services/guest-agent/image/build --bin /bin-trixie --out /out --cache /cache
}

ensure_guest_image() {
    stage_once guest-image "$(guest_image_key)" "guest image" build_guest_image
}
