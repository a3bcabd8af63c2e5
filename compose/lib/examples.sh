# shellcheck shell=bash
# Example workloads in the private registry, as an owner would push them.

EXAMPLES=(hello exits)

push_example() { # name
    local tar=$DEV_DIR/cache/example-$1.tar
    docker_build --target "$1" -t "coffer-example-$1" "$ROOT/compose/examples"
    docker save -o "$tar" "coffer-example-$1"
    docker run --rm --network "${COMPOSE_PROJECT_NAME}_world" \
        -v "$tar:/image.tar:ro" -v "$SECRETS/registry/auth.json:/auth.json:ro" \
        -v "$SECRETS/ca/ca.pem:/certs/ca.crt:ro" coffer-thirdparty \
        skopeo copy --insecure-policy --authfile /auth.json --dest-cert-dir /certs \
        docker-archive:/image.tar "docker://registry.coffer.test:5000/$1:1"
    rm -f "$tar"
}

push_examples() {
    local name
    for name in "${EXAMPLES[@]}"; do
        push_example "$name"
    done
}

# Keyed by the registry's volume too: a new one is empty, however it came about.
examples_key() {
    docker volume inspect --format '{{.CreatedAt}}' "${COMPOSE_PROJECT_NAME}_registry-data" 2> /dev/null || true
    hash_of "$ROOT/compose/examples" "$SECRETS/registry/server.pem"
}

ensure_examples() {
    stage_once examples "$(examples_key)" "example images pushed to the registry" push_examples
}
