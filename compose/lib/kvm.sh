# shellcheck shell=bash
# KVM is used only when asked for (COFFER_KVM=1) and only after it has booted something: a /dev/kvm
# that opens and then hangs every guest has been seen.

probe_kvm() {
    local console
    console=$(timeout 30 docker run --rm --device /dev/kvm --entrypoint timeout \
        -v "$ROOT/build/image:/image:ro" coffer-host 20 qemu-system-x86_64 -machine q35,accel=kvm \
        -cpu host -m 256 -nographic -no-reboot -kernel /image/vmlinuz \
        -append 'console=ttyS0 panic=-1' 2>&1 || true)
    # without an initrd a kernel that runs ends at mounting its root
    grep -q 'Unable to mount root fs' <<< "$console" || {
        echo "error: /dev/kvm does not run a guest here; unset COFFER_KVM to use emulation"
        return 1
    }
}

ensure_kvm_choice() {
    rm -f "$DEV_DIR/kvm"
    [[ ${COFFER_KVM:-0} == 1 ]] || return 0
    [[ -c /dev/kvm ]] || die "COFFER_KVM=1, but there is no /dev/kvm here"
    stage "KVM boots a guest" probe_kvm
    touch "$DEV_DIR/kvm"
}
