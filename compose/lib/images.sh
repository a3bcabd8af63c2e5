# shellcheck shell=bash
# Container images: the trixie base and the stages of compose/Dockerfile.

base_image() {
    local tar=$DEV_DIR/cache/trixie.tar
    docker image inspect debian:trixie-slim > /dev/null 2>&1 && return 0
    if timeout 60 docker pull debian:trixie-slim; then
        return 0
    fi
    # no registry within reach: make it from packages
    if [[ ! -s $tar ]]; then
        rm -rf "$tar.part"
        mmdebstrap --format=tar --variant=minbase --include=ca-certificates trixie "$tar.part" \
            ${COFFER_DEBIAN_MIRROR:+"$COFFER_DEBIAN_MIRROR"}
        mv "$tar.part" "$tar"
    fi
    docker import "$tar" debian:trixie-slim
}

# BuildKit only where its client part is installed; the Dockerfile suits both builders.
docker_build() {
    docker buildx version > /dev/null 2>&1 || export DOCKER_BUILDKIT=0
    docker build "$@"
}

container_image() { docker_build --target "$1" -t "$1" "$ROOT/compose"; }

# The stamp is not enough: somebody may have removed the image.
image_key() { # stage
    docker image inspect --format '{{.Id}}' debian:trixie-slim "$1" 2> /dev/null | sha256sum | cut -c1-16
    hash_of "$ROOT/compose/Dockerfile"
    [[ $1 != coffer-host ]] || hash_of "$ROOT/compose/host"
}

ensure_images() { # stages...
    local image
    docker image inspect debian:trixie-slim > /dev/null 2>&1 || stage "base image (trixie)" base_image
    for image in "$@"; do
        if [[ -f $STAMP_DIR/$image && $(< "$STAMP_DIR/$image") == "$(image_key "$image")" ]]; then
            continue
        fi
        stage "container image $image" container_image "$image"
        image_key "$image" > "$STAMP_DIR/$image"
    done
}
