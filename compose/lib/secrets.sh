# shellcheck shell=bash
# Development secrets: a CA, server certificates, passwords, keys. Made once, kept until ./dev reset.

SECRETS=$DEV_DIR/secrets

random_word() { openssl rand -hex 20; }

make_ca() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
        -subj '/CN=Coffer development CA' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
        -keyout "$SECRETS/ca/ca.key" -out "$SECRETS/ca/ca.pem"
}

make_certificate() { # folder, subject alternative names
    local dir=$SECRETS/$1
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1.coffer.test" \
        -keyout "$dir/server.key" -out "$dir/server.csr"
    openssl x509 -req -in "$dir/server.csr" -CA "$SECRETS/ca/ca.pem" -CAkey "$SECRETS/ca/ca.key" \
        -CAcreateserial -days 825 -out "$dir/server.pem" \
        -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$2")
    rm "$dir/server.csr"
}

make_registry_secrets() {
    make_certificate registry "DNS:registry.coffer.test,DNS:registry,IP:$NET.1.10"
    random_word > "$SECRETS/registry/password"
    docker run --rm -i --network none coffer-thirdparty htpasswd -Bin coffer \
        < "$SECRETS/registry/password" > "$SECRETS/registry/htpasswd"
    jq -n --arg auth "$(printf 'coffer:%s' "$(< "$SECRETS/registry/password")" | base64 -w0)" \
        '{auths: {"registry.coffer.test:5000": {auth: $auth}}}' > "$SECRETS/registry/auth.json"
    # as if the owner had done `docker login`
    mkdir -p "$DEV_DIR/cli/.docker"
    cp "$SECRETS/registry/auth.json" "$DEV_DIR/cli/.docker/config.json"
}

make_pebble_secrets() {
    make_certificate pebble "DNS:pebble.coffer.test,DNS:pebble,IP:$NET.1.14"
    openssl rand 32 | basenc --base64url -w0 | tr -d = > "$SECRETS/pebble/eab.mac"
    jq -n --arg mac "$(< "$SECRETS/pebble/eab.mac")" '{key_id: "coffer-dev", mac_key: $mac}' \
        > "$SECRETS/scheduler/eab.json"
    jq -n --arg kid coffer-dev --arg mac "$(< "$SECRETS/pebble/eab.mac")" '{pebble: {
        listenAddress: "0.0.0.0:14000", managementListenAddress: "0.0.0.0:15000",
        certificate: "/secrets/server.pem", privateKey: "/secrets/server.key",
        httpPort: 80, tlsPort: 443, ocspResponderURL: "",
        externalAccountBindingRequired: true, externalAccountMACKeys: {($kid): $mac},
        domainBlocklist: [], retryAfter: {authz: 0, order: 0}}}' > "$SECRETS/pebble/pebble.json"
}

make_dns_secrets() {
    local key
    key=$(openssl rand -base64 32)
    printf 'key:\n  - id: scheduler\n    algorithm: hmac-sha256\n    secret: %s\n' "$key" \
        > "$SECRETS/dns/tsig.conf"
    printf 'hmac-sha256:scheduler:%s\n' "$key" > "$SECRETS/scheduler/tsig.key"
}

make_redis_secrets() {
    random_word > "$SECRETS/redis/password"
    cp "$SECRETS/redis/password" "$SECRETS/scheduler/redis.password"
    cp "$SECRETS/redis/password" "$SECRETS/api-gateway/redis.password"
    printf 'requirepass %s\n' "$(< "$SECRETS/redis/password")" > "$SECRETS/redis/auth.conf"
}

# Trust anchors that manifests bind, and the first API key, which the CLI and the tests use.
make_gateway_secrets() {
    local cli=$DEV_DIR/cli/.config/coffer
    jq -n --rawfile ca "$SECRETS/ca/ca.pem" '{
        acme: {directory: "https://pebble.coffer.test:14000/dir", ca: $ca},
        registry_cas: {"registry.coffer.test:5000": $ca}}' > "$SECRETS/api-gateway/trust.json"
    random_word > "$SECRETS/api-gateway/api-key"
    mkdir -p "$cli"
    cp "$SECRETS/api-gateway/api-key" "$cli/api-key"
    echo http://api-gateway:8080 > "$cli/url"
}

# The global admin's key, for the gateway and the CLI. Apart, for secrets that were made before it.
make_admin_key() {
    (
        umask 077
        mkdir -p "$DEV_DIR/cli/.config/coffer"
        random_word > "$SECRETS/api-gateway/admin-key"
        cp "$SECRETS/api-gateway/admin-key" "$DEV_DIR/cli/.config/coffer/admin-key"
    )
}

make_secrets() {
    (
        umask 077
        rm -rf "$SECRETS"
        mkdir -p "$SECRETS"/{ca,registry,pebble,dns,redis,scheduler,api-gateway}
        make_ca
        make_registry_secrets
        make_pebble_secrets
        make_dns_secrets
        make_redis_secrets
        make_gateway_secrets
        touch "$SECRETS/complete"
    )
}

ensure_secrets() {
    [[ -f $SECRETS/complete ]] || stage "development CA, passwords, keys" make_secrets
    [[ -f $SECRETS/api-gateway/admin-key ]] || make_admin_key
}
