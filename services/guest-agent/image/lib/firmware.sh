# shellcheck shell=bash
# The firmware that is measured at launch: edk2 built for SEV with kernel hashes. Debian has it as
# an architecture-independent package from release 14 on, so it comes through an apt root of its
# own, and only the one file with the known hash is accepted.

FIRMWARE_SUITE=forky
FIRMWARE_SHA256=3e4fd0b3fe3b2dbe481c3d9e99418a034174f26cbe1f55aa212b0f18c12d2d6f

firmware_get() {
    local cache=$1 out=$2 file dir
    file=$cache/OVMF.amdsev.fd-$FIRMWARE_SHA256
    if [[ ! -e $file ]]; then
        say "fetch firmware"
        dir=$(mktemp -d)
        firmware_fetch "$dir" >&2 || fail "cannot get package ovmf-amdsev"
        firmware_check "$dir/files/usr/share/ovmf/OVMF.amdsev.fd"
        mv "$dir/files/usr/share/ovmf/OVMF.amdsev.fd" "$file"
        rm -rf "$dir"
    fi
    firmware_check "$file"
    cp "$file" "$out/OVMF.amdsev.fd"
}

firmware_check() {
    local have
    have=$(sha256_of "$1")
    [[ $have == "$FIRMWARE_SHA256" ]] ||
        fail "firmware '$1' has SHA-256 $have, the recipe wants $FIRMWARE_SHA256"
}

firmware_fetch() {
    local dir=$1
    mkdir -p "$dir"/{state/lists/partial,cache/archives/partial,files}
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
        "$MIRROR" "$FIRMWARE_SUITE" >"$dir/sources.list"
    local apt=(apt-get -q -o "Dir::State=$dir/state" -o "Dir::Cache=$dir/cache"
        -o Dir::State::status=/dev/null -o "Dir::Etc::SourceList=$dir/sources.list"
        -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null
        -o Dir::Etc::PreferencesParts=/dev/null -o APT::Architecture=amd64
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
        -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root)
    "${apt[@]}" update && (cd "$dir" && "${apt[@]}" download ovmf-amdsev) &&
        dpkg-deb --extract "$dir"/ovmf-amdsev_*.deb "$dir/files"
}
