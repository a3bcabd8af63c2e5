# shellcheck shell=bash
# The initrd: busybox, dmsetup with its libraries, a few modules in load order, and our init.

INITRD_MODULES=(virtio_blk dm-verity dm-crypt erofs xts aesni-intel sha256-ssse3 virtio_net configfs tsm sev-guest)
INITRD_APPLETS=(blockdev cat chroot head hexdump insmod ln mkdir mount poweroff sh sleep switch_root umount)

initrd_make() {
    local recipe=$1 base=$2 out=$3 epoch=$4 dir applet
    dir=$(mktemp -d)
    mkdir -p "$dir"/{bin,dev,proc,sys,run,sysroot,modules,usr/lib/x86_64-linux-gnu,usr/lib64,usr/sbin}
    ln -s usr/lib "$dir/lib"
    ln -s usr/lib64 "$dir/lib64"
    sed "s/@VERITY_SALT@/$VERITY_SALT/" "$recipe/initrd/init" >"$dir/init"
    chmod 0755 "$dir/init"
    install -m 0755 "$base/tools/usr/bin/busybox" "$dir/bin/busybox"
    for applet in "${INITRD_APPLETS[@]}"; do
        ln -s busybox "$dir/bin/$applet"
    done
    initrd_add_dmsetup "$base" "$dir"
    initrd_add_modules "$base" "$dir"
    initrd_pack "$base" "$dir" "$out" "$epoch"
    rm -rf "$dir"
}

initrd_add_dmsetup() {
    local base=$1 dir=$2 library
    install -m 0755 "$base/root/usr/sbin/dmsetup" "$dir/usr/sbin/dmsetup"
    for library in $(program_libraries "$base" "$base/root/usr/sbin/dmsetup"); do
        case $library in
        */ld-linux*) cp -L "$library" "$dir/usr/lib64/" ;;
        *) cp -L "$library" "$dir/usr/lib/x86_64-linux-gnu/" ;;
        esac
    done
}

initrd_add_modules() {
    local base=$1 dir=$2 module number=100
    for module in $(kernel_module_files "$base" "${INITRD_MODULES[@]}"); do
        cp "$module" "$dir/modules/$number-${module##*/}"
        number=$((number + 1))
    done
}

# Uncompressed: it is small, and unpacking costs more under emulation than loading.
initrd_pack() {
    local base=$1 dir=$2 out=$3 epoch=$4
    find "$dir" -exec touch --no-dereference --date="@$epoch" {} +
    (cd "$dir" && find . -mindepth 1 -print | LC_ALL=C sort |
        "$base/tools/usr/bin/busybox" cpio --quiet -o -H newc -R 0:0 --renumber-inodes --ignore-devno) >"$out" ||
        fail "cpio failed"
}
