# shellcheck shell=bash
# The one container image of ours, in docker-archive form, made without a daemon: sorted names, fixed
# times and owners, so that equal content gives equal bytes. It has no program: Caddy and the attester
# run from the measured root, whose /usr is mounted into their containers. Docker would copy programs
# to the state disk at each boot, and the root keeps them under dm-verity.

container_make_platform() {
    local tar=$1 version=$2 epoch=$3 dir
    dir=$(mktemp -d)
    mkdir -p "$dir"/{usr,config,data,tmp,run/coffer,etc/coffer,etc/ssl/certs}
    ln -s usr/lib "$dir/lib"
    ln -s usr/lib64 "$dir/lib64"
    chmod 1777 "$dir/tmp"
    printf 'root:x:0:0:root:/:/usr/sbin/nologin\n' >"$dir/etc/passwd"
    printf 'root:x:0:\n' >"$dir/etc/group"
    printf 'hosts: files dns\n' >"$dir/etc/nsswitch.conf"
    container_pack "$dir" "$tar" "$epoch" "coffer/platform:$version" \
        '{"Env": ["PATH=/usr/bin", "XDG_CONFIG_HOME=/config", "XDG_DATA_HOME=/data"], "WorkingDir": "/"}'
    rm -rf "$dir"
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
