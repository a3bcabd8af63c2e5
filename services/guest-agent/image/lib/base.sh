# shellcheck shell=bash
# The base: Debian packages, extracted and trimmed, without anything of ours in them. No maintainer
# script runs, so what the root holds follows from the packages' files alone. Layout:
#   root/ tools/ boot/ modules/ packages.lock epoch
# shellcheck source=lib/common.sh

# The mirror that this machine's own apt uses, unless one is named.
own_mirror() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^#' |
        grep -oE 'https?://[^[:space:]]+/debian/?([[:space:]]|$)' | head -n 1 | tr -d '[:space:]'
}

MIRROR=${COFFER_MIRROR:-$(own_mirror || true)}
MIRROR=${MIRROR%/}
SECURITY_MIRROR=${COFFER_SECURITY_MIRROR:-${MIRROR}-security}

# base_key RECIPE LOCK: names a base by everything that decides its content.
base_key() {
    local recipe=$1 lock=$2
    {
        cat "$recipe"/packages.root "$recipe"/packages.tools "$recipe"/modules
        cat "$recipe"/lib/base.sh "$recipe"/lib/fetch-tools "$recipe"/lib/kernel.sh
        printf '%s %s\n' "$MIRROR" "$SECURITY_MIRROR"
        [[ -z $lock ]] || cat "$lock"
    } | sha256sum | cut -c1-16
}

# base_get RECIPE CACHE LOCK: prints the folder of the base, made now unless CACHE has it.
base_get() {
    local recipe=$1 cache=$2 lock=$3 key dir
    key=$(base_key "$recipe" "$lock")
    dir=$cache/base-$key
    if [[ ! -e $dir/complete ]]; then
        rm -rf "$dir"
        mkdir -p "$dir"
        base_make "$recipe" "$dir" "$lock"
        touch "$dir/complete"
    fi
    printf '%s\n' "$dir"
}

base_make() {
    local recipe=$1 dir=$2 lock=$3
    [[ -n $MIRROR ]] || fail "no Debian mirror is known here: set COFFER_MIRROR"
    say "fetch and extract packages"
    base_extract "$recipe" "$dir" "$lock"
    base_write_lock "$dir"
    [[ -z $lock ]] || base_check_lock "$dir/packages.lock" "$lock"
    base_unpack_tools "$dir"
    base_write_epoch "$dir"
    say "trim"
    base_make_trust_store "$dir/root"
    base_trim "$dir/root"
    kernel_prepare "$recipe" "$dir"
}

base_extract() {
    local recipe=$1 dir=$2 lock=$3 include tools
    include=$(list_file "$recipe/packages.root" | paste -sd,)
    tools=$(list_file "$recipe/packages.tools" | paste -sd' ')
    mkdir "$dir/debs"
    local args=(--quiet --variant=extract --mode=root --architectures=amd64
        "--skip=chroot/mount,cleanup/apt"
        --include="$include"
        --extract-hook="'$recipe/lib/fetch-tools' '$dir/debs' $tools")
    if [[ -n $lock ]]; then
        base_pin "$lock" >"$dir/preferences"
        args+=(--setup-hook="cp '$dir/preferences' \"\$1/etc/apt/preferences.d/lock\"")
    fi
    eatmydata_if_there mmdebstrap "${args[@]}" trixie "$dir/root" \
        "deb $MIRROR trixie main" "deb $SECURITY_MIRROR trixie-security main" >&2 ||
        fail "mmdebstrap failed"
}

eatmydata_if_there() {
    if command -v eatmydata >/dev/null; then
        eatmydata "$@"
    else
        "$@"
    fi
}

# base_pin LOCK: apt preferences that take the locked versions where the archive still has them.
base_pin() {
    awk 'NF == 2 { printf "Package: %s\nPin: version %s\nPin-Priority: 1001\n\n", $1, $2 }' "$1"
}

base_write_lock() {
    local dir=$1 deb
    for deb in "$dir"/root/var/cache/apt/archives/*.deb "$dir"/debs/*.deb; do
        # shellcheck disable=SC2016 # the format is dpkg's
        dpkg-deb --show --showformat='${Package} ${Version}\n' "$deb"
    done | LC_ALL=C sort -u >"$dir/packages.lock"
    [[ -s $dir/packages.lock ]] || fail "no packages were extracted"
}

# base_check_lock HAVE WANT: fails, naming each package that differs.
base_check_lock() {
    awk '
        NR == FNR { want[$1] = $2; next }
        { seen[$1] = 1 }
        !($1 in want) { printf "package %s: %s, not in the lock\n", $1, $2; bad = 1; next }
        want[$1] != $2 { printf "package %s: %s, the lock has %s\n", $1, $2, want[$1]; bad = 1 }
        END {
            for (name in want)
                if (!(name in seen)) { printf "package %s: not there, the lock has %s\n", name, want[name]; bad = 1 }
            exit bad
        }' "$2" "$1" >&2 || fail "the packages differ from the lock '$2'"
}

base_unpack_tools() {
    local dir=$1 deb
    mkdir "$dir/tools"
    for deb in "$dir"/debs/*.deb; do
        dpkg-deb --extract "$deb" "$dir/tools"
    done
    rm -rf "$dir/debs"
}

# The time stamp of everything in the image: that of the newest packaged file.
base_write_epoch() {
    local dir=$1
    find "$dir/root/usr" "$dir/tools/usr" -type f -printf '%T@\n' |
        LC_ALL=C sort -n | sed -n '$s/\..*//p' >"$dir/epoch"
    [[ $(<"$dir/epoch") =~ ^[0-9]+$ ]] || fail "no time stamp in the packages"
}

base_make_trust_store() {
    local root=$1
    mkdir -p "$root/etc/ssl/certs"
    find "$root/usr/share/ca-certificates/mozilla" -name '*.crt' -print0 | LC_ALL=C sort -z |
        xargs -0 cat >"$root/etc/ssl/certs/ca-certificates.crt"
}

# Leaves programs, libraries, units and licences. There is no shell in the root, so scripts go too.
# What starts at boot is decided by rootfs/ alone: generators and the packages' wants are removed.
base_trim() {
    local root=$1 lib=$1/usr/lib
    rm -rf "${root:?}"/{boot,var,tmp,run,dev,home,root,media,mnt,srv,opt,proc,sys,etc.orig}
    find "$root/etc" -mindepth 1 -maxdepth 1 ! -name ssl ! -name protocols ! -name services \
        ! -name mke2fs.conf -exec rm -rf {} +
    find "$root/usr/share" -mindepth 1 -maxdepth 1 ! -name doc ! -name common-licenses -exec rm -rf {} +
    find "$root/usr/share/doc" ! -type d ! -name copyright -delete
    find "$root/usr/share/doc" -depth -type d -empty -delete
    rm -rf "${root:?}"/usr/{games,include,local,src} "$lib"/systemd/{system,user,user-environment}-generators \
        "$lib"/systemd/{user,user-preset,system-preset,catalog} "$lib"/systemd/system/*.{wants,requires} \
        "$lib"/{sysctl.d,tmpfiles.d,sysusers.d,modules-load.d,kernel,init,pam.d,environment.d,pcrlock.d} \
        "$lib"/udev/hwdb.d "$lib"/udev/hwdb.bin
    base_remove_unused_programs "$root"
    find "$root" -name '__pycache__' -prune -exec rm -rf {} +
    find "$root" -perm /6000 -type f -exec chmod ug-s {} +
}

base_remove_unused_programs() {
    local root=$1 file
    find "$root/usr/bin" "$root/usr/sbin" -type f -print | while read -r file; do
        [[ $(head -c2 "$file" | tr -d '\0') != '#!' ]] || rm "$file"
    done
    rm -f "$root"/usr/bin/{ctr,containerd-shim,containerd-shim-runc-v1,containerd-stress,systemd-nspawn} \
        "$root"/usr/bin/{systemd-analyze,systemd-cgtop,mawk,chage,chfn,chsh,gpasswd,passwd,expiry,newgrp,su} \
        "$root"/usr/bin/{tini,localectl,timedatectl,hostnamectl,loginctl} \
        "$root"/usr/sbin/{chpasswd,useradd,usermod,userdel,groupadd,groupmod,groupdel,newusers,chgpasswd}
}
