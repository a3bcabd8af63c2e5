# shellcheck shell=bash
# The root: a copy of the base with our files, programs and container image in it.

# Mount points and folders that must exist because the root is read-only.
ROOT_FOLDERS=(dev proc sys run tmp var root etc/docker home mnt)

# Pulled in by units we want, with nothing to do here.
MASKED_UNITS=(systemd-networkd-persistent-storage.service systemd-udev-load-credentials.service)

root_make() {
    local recipe=$1 base=$2 bin=$3 root=$4 version=$5 epoch=$6
    cp -a "$base/root" "$root"
    root_add_files "$recipe" "$root" "$version"
    root_add_links "$recipe" "$root"
    root_add_program "$base" "$bin/coffer-guest-agent" "$root/usr/bin/coffer-guest-agent"
    install -m 0755 "$base/tools/usr/bin/busybox" "$root/usr/lib/coffer/busybox"
    root_add_program "$base" "$bin/coffer-attester" "$root/usr/bin/coffer-attester"
    root_add_program "$base" "$base/tools/usr/bin/caddy" "$root/usr/bin/caddy"
    mkdir -p "$root/usr/lib/coffer/images"
    container_make_platform "$root/usr/lib/coffer/images/platform.tar" "$version" "$epoch"
    root_normalise "$base" "$root" "$epoch"
}

root_add_files() {
    local recipe=$1 root=$2 version=$3 folder
    for folder in "${ROOT_FOLDERS[@]}"; do
        mkdir -p "$root/$folder"
    done
    cp -r "$recipe/rootfs/." "$root/"
    : >"$root/etc/machine-id"
    printf '%s\n' "$version" >"$root/usr/lib/coffer/version"
}

root_add_links() {
    local recipe=$1 root=$2 target unit name
    while read -r target unit; do
        root_want "$root" "$target" "$unit"
    done < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$recipe/wants")
    ln -s /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
    for name in "${MASKED_UNITS[@]}"; do
        ln -s /dev/null "$root/etc/systemd/system/$name"
    done
    ln -s ../run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"
    ln -s /run/coffer/certs.d "$root/etc/docker/certs.d"
    ln -sf ../lib/systemd/systemd "$root/usr/sbin/init"
    for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        ln -sf xtables-nft-multi "$root/usr/sbin/$name"
    done
}

root_want() {
    local root=$1 target=$2 unit=$3 folder from=/etc/systemd/system
    [[ -e $root$from/$unit ]] || from=/usr/lib/systemd/system
    [[ -e $root$from/$unit ]] || fail "no unit '$unit' in the root"
    folder=$root/etc/systemd/system/$target.wants
    mkdir -p "$folder"
    ln -s "$from/$unit" "$folder/$unit"
}

# root_add_program BASE FROM TO: fails if the root lacks a library of the program.
root_add_program() {
    local base=$1 from=$2 to=$3
    [[ -f $from ]] || fail "no program '$from'"
    program_libraries "$base" "$from" >/dev/null
    install -m 0755 "$from" "$to"
}

# program_libraries BASE PROGRAM: paths of the shared libraries and the loader, in the base.
program_libraries() {
    local base=$1 program=$2 list name path
    list=$(run_in_base "$base" --list "$program" 2>&1) || {
        grep -q -e 'not a dynamic' -e 'statically linked' <<<"$list" && return
        fail "libraries of '$program': $list"
    }
    while read -r name _ path _; do
        case $name in
        linux-vdso* | statically) continue ;;
        */ld-linux*) printf '%s\n' "$base/root/usr/lib64/ld-linux-x86-64.so.2" ;;
        *)
            [[ $path == "$base"/* ]] || fail "the root has no '$name', needed by '$program'"
            printf '%s\n' "$path"
            ;;
        esac
    done <<<"$list" | LC_ALL=C sort -u
}

root_normalise() {
    local base=$1 root=$2 epoch=$3
    "$base/root/usr/sbin/ldconfig" -X -r "$root" || fail "ldconfig failed"
    rm -rf "$root/var/cache"
    find "$root" -exec touch --no-dereference --date="@$epoch" {} +
}
