# shellcheck shell=bash
# What every stage uses.

fail() {
    printf 'image: %s\n' "$*" >&2
    exit 1
}

say() {
    printf '%4ds  %s\n' "$SECONDS" "$*" >&2
}

# list_file FILE: the entries of FILE without comments and empty lines.
list_file() {
    sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$1"
}

sha256_of() {
    sha256sum -- "$1" | cut -d' ' -f1
}

# run_in_base BASE PROGRAM ARG…: runs a program of the base's own packages with the base's own
# loader and libraries, so that the result does not depend on what the build machine has.
run_in_base() {
    local base=$1 program=$2
    shift 2
    local libs="$base/root/usr/lib/x86_64-linux-gnu:$base/tools/usr/lib/x86_64-linux-gnu"
    "$base/root/usr/lib64/ld-linux-x86-64.so.2" --inhibit-cache --argv0 "${program##*/}" \
        --library-path "$libs" "$program" "$@"
}
