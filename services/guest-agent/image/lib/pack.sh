# shellcheck shell=bash
# The root as an erofs file system with its dm-verity tree, and the description of the image.

# Fixed, so that equal roots have equal images. The salt need not be secret or fresh.
EROFS_UUID=5c0ffe70-0000-4000-8000-000000000001
VERITY_SALT=c0ffe4000000000000000000000000000000000000000000000000000000c0ff

VCPU_MODELS=(EPYC-v4 EPYC-Milan EPYC-Genoa)
GUEST_FEATURES=1

pack_root() {
    local base=$1 root=$2 out=$3 epoch=$4
    run_in_base "$base" "$base/tools/usr/bin/mkfs.erofs" --quiet -zlz4 -C65536 -x-1 --all-root \
        -T "$epoch" -U "$EROFS_UUID" "$out/root.img" "$root" >&2 || fail "mkfs.erofs failed"
}

# pack_verity OUT: makes root.verity and prints the root hash. The hash device has no superblock:
# every parameter comes from the measured command line and initrd, none from the host's disk.
pack_verity() {
    local out=$1 hash
    hash=$(veritysetup format --no-superblock --hash=sha256 --data-block-size=4096 \
        --hash-block-size=4096 --salt="$VERITY_SALT" "$out/root.img" "$out/root.verity" |
        sed -n 's/^Root hash:[[:space:]]*//p')
    chmod 0644 "$out/root.verity"
    [[ $hash =~ ^[0-9a-f]{64}$ ]] || fail "veritysetup gave no root hash"
    printf '%s\n' "$hash"
}

# pack_cmdline OUT HASH: the kernel command line that goes with the root.
pack_cmdline() {
    local out=$1 hash=$2 blocks
    blocks=$(($(stat -c %s "$out/root.img") / 4096))
    printf '%s ' console=ttyS0 quiet loglevel=4 panic=-1 random.trust_cpu=on \
        random.trust_bootloader=off lsm=landlock,lockdown,yama audit=0 nowatchdog cryptomgr.notests \
        systemd.show_status=0 systemd.log_target=null systemd.unit=multi-user.target
    printf 'coffer.roothash=%s coffer.rootblocks=%s\n' "$hash" "$blocks"
}

pack_json_list() {
    local list
    list=$(printf '"%s", ' "$@")
    printf '[%s]' "${list%, }"
}

pack_describe() {
    local out=$1 version=$2 hash=$3 cmdline=$4 name separator=''
    {
        printf '{\n  "version": "%s",\n  "files": {\n' "$version"
        for name in OVMF.amdsev.fd initrd.img packages.lock root.img root.verity vmlinuz; do
            printf '%s    "%s": {"sha256": "%s", "size": %s}' "$separator" "$name" \
                "$(sha256_of "$out/$name")" "$(stat -c %s "$out/$name")"
            separator=$',\n'
        done
        printf '\n  },\n  "verity_root_hash": "%s",\n  "cmdline": "%s",\n' "$hash" "$cmdline"
        printf '  "firmware": "OVMF.amdsev.fd",\n  "vcpu_models": %s,\n  "guest_features": %s\n}\n' \
            "$(pack_json_list "${VCPU_MODELS[@]}")" "$GUEST_FEATURES"
    } >"$out/image.json"
}
