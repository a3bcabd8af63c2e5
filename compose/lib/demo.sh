# shellcheck shell=bash
# From nothing to a verified workload, and what a person reads at the end.

# Everything that must exist before containers can start.
cluster_prepare() {
    setup_packages demo
    ensure_engine
    ensure_images coffer-thirdparty coffer-control coffer-host coffer-build
    stage "compile (trixie, software TEE)" compile_binaries
    ensure_docs
    ensure_secrets
    ensure_fleet
    ensure_guest_image
    ensure_kvm_choice
}

remove_old_hello() {
    local id
    for id in $(coffer_cli ls --json | jq -r '.[] | select(.name == "hello") | .workloadId'); do
        coffer_cli rm "$id" --yes
    done
}

# The tool's own lines, one per stage of the boot, are the progress a person wants to see.
deploy_hello() {
    local log=$LOG_DIR/deploy.log start
    start=$(now_ms)
    say "  deploy examples/hello"
    GREETING=${GREETING:-good day} \
        coffer_cli deploy "$ROOT/compose/examples/hello" --name hello --public web:8080 \
        --env GREETING --registry registry.coffer.test:5000 --wait < /dev/null 2>&1 |
        tee "$log" | sed -u 's/^/    /'
    coffer_cli show "$(awk '$1 == "workload" { print $2 }' "$log")" --json > "$DEV_DIR/hello.json"
    printf '  %-48s %s%s%s\n' "deployed" "$GREEN" "$(format_ms $(($(now_ms) - start)))" "$RESET"
}

# The dev machine is not on the internet: names resolve through the cluster's DNS.
workload_address() { # domain
    docker run --rm --network "${COMPOSE_PROJECT_NAME}_world" coffer-thirdparty \
        kdig +short "@$NET.1.53" "$1" A | grep -E '^[0-9.]+$' | tail -n 1
}

hello_answer() { # domain
    curl -fsS --max-time 20 --cacert "$DEV_DIR/pebble-root.pem" \
        --resolve "$1:443:$(workload_address "$1")" "https://$1/"
}

# What a relying party is given: the ACME authority's root, the development root, the key that
# signs guest images, the image's reference values, and the manifest's hash.
verify_hello() { # domain, manifest hash
    coffer_cli verify "https://$1" --nonce auto --manifest "$2" --ca "$DEV_DIR/pebble-root.pem" \
        --image "$ROOT/build/image/$(image_version)/image.json" \
        --release-key "$(jq -r .image_release_public "$FLEET/fleet.json")" --trust-root "$FLEET/trust"
}

print_demo() {
    local domain hash
    domain=$(jq -r .domain "$DEV_DIR/hello.json")
    hash=$(jq -r .manifestHash "$DEV_DIR/hello.json")
    say "" "${BOLD}https://$domain$RESET answers:"
    hello_answer "$domain" | sed 's/^/    /'
    say "" "${BOLD}coffer verify${RESET}"
    verify_hello "$domain" "$hash" | sed 's/^/    /'
    say "" "The cluster keeps running. Look around:" \
        "    ./dev coffer ls" \
        "    ./dev coffer logs -f hello --container web" \
        "    ./dev coffer events hello" \
        "    ./dev shell host-1 virsh list" \
        "    curl --cacert build/dev/pebble-root.pem --resolve $domain:443:$(workload_address "$domain") https://$domain/" \
        "    ./dev down"
}

run_demo() {
    local start
    start=$(now_ms)
    cluster_prepare
    cluster_up
    stage "remove the hello of an earlier demo" remove_old_hello
    deploy_hello
    print_demo
    say "" "  demo took $(format_ms $(($(now_ms) - start)))"
}
