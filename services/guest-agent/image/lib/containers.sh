# shellcheck shell=bash
# Container images in docker-archive form, made without a daemon: one layer, sorted names, fixed
# times and owners, so that equal content gives equal bytes.

container_make_caddy() {
    local base=$1 tar=$2 version=$3 epoch=$4 dir
    dir=$(mktemp -d)
    container_add_program "$base" "$base/tools/usr/bin/caddy" "$dir" caddy
    mkdir -p "$dir/etc/ssl/certs" "$dir/config" "$dir/data"
    cp "$base/root/etc/ssl/certs/ca-certificates.crt" "$dir/etc/ssl/certs/"
    container_pack "$dir" "$tar" "$epoch" "coffer/caddy:$version" '{
        "Env": ["PATH=/usr/bin", "XDG_CONFIG_HOME=/config", "XDG_DATA_HOME=/data"],
        "Entrypoint": ["/usr/bin/caddy"],
        "Cmd": ["run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"],
        "WorkingDir": "/"}'
    rm -rf "$dir"
}

container_make_attester() {
    local base=$1 bin=$2 tar=$3 version=$4 epoch=$5 dir
    dir=$(mktemp -d)
    container_add_program "$base" "$bin/coffer-attester" "$dir" coffer-attester
    mkdir -p "$dir/etc/ssl/certs"
    cp "$base/root/etc/ssl/certs/ca-certificates.crt" "$dir/etc/ssl/certs/"
    container_pack "$dir" "$tar" "$epoch" "coffer/attester:$version" '{
        "Env": ["PATH=/usr/bin"],
        "Entrypoint": ["/usr/bin/coffer-attester"],
        "WorkingDir": "/"}'
    rm -rf "$dir"
}

# A program with its libraries where the loader looks for them, and the few files libc reads.
container_add_program() {
    local base=$1 program=$2 dir=$3 name=$4 library libraries
    mkdir -p "$dir/usr/bin" "$dir/usr/lib/x86_64-linux-gnu" "$dir/usr/lib64" "$dir/etc" "$dir/tmp"
    ln -s usr/lib "$dir/lib"
    ln -s usr/lib64 "$dir/lib64"
    [[ -f $program ]] || fail "no program '$program'"
    install -m 0755 "$program" "$dir/usr/bin/$name"
    libraries=$(program_libraries "$base" "$program")
    for library in $libraries; do
        case $library in
        */ld-linux*) cp -L "$library" "$dir/usr/lib64/" ;;
        *) cp -L "$library" "$dir/usr/lib/x86_64-linux-gnu/" ;;
        esac
    done
    chmod 1777 "$dir/tmp"
    printf 'root:x:0:0:root:/:/usr/sbin/nologin\n' >"$dir/etc/passwd"
    printf 'root:x:0:\n' >"$dir/etc/group"
    printf 'hosts: files dns\n' >"$dir/etc/nsswitch.conf"
}

# The gnu format, because tar 1.34 and 1.35 write different device fields in the ustar format.
container_tar() {
    local dir=$1 out=$2 epoch=$3
    LC_ALL=C tar --create --file="$out" --directory="$dir" --format=gnu --sort=name \
        --mtime="@$epoch" --owner=0 --group=0 --numeric-owner .
}

container_pack() {
    local dir=$1 tar=$2 epoch=$3 tag=$4 config=$5 work layer id
    work=$(mktemp -d)
    mkdir "$work/archive"
    container_tar "$dir" "$work/layer.tar" "$epoch"
    layer=$(sha256_of "$work/layer.tar")
    mkdir "$work/archive/$layer"
    mv "$work/layer.tar" "$work/archive/$layer/layer.tar"
    printf '{"architecture":"amd64","os":"linux","created":"%s","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}\n' \
        "$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)" "$config" "$layer" >"$work/config"
    id=$(sha256_of "$work/config")
    mv "$work/config" "$work/archive/$id.json"
    printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["%s/layer.tar"]}]\n' \
        "$id" "$tag" "$layer" >"$work/archive/manifest.json"
    container_tar "$work/archive" "$tar" "$epoch"
    rm -rf "$work"
}
