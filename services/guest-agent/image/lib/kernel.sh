# shellcheck shell=bash
# The kernel and its modules: modules are kept by pattern with what they depend on, and stored
# uncompressed and unsigned, because the root is compressed and measured anyway.

kernel_version() {
    basename "$1"/tools/usr/lib/modules/*
}

kernel_prepare() {
    local recipe=$1 dir=$2 version
    version=$(kernel_version "$dir")
    run_in_base "$dir" "$dir/root/usr/bin/kmod" --version >/dev/null || fail "kmod does not run"
    kernel_depmod "$dir" "$dir/tools/usr" "$version"
    kernel_keep_modules "$recipe" "$dir" "$version"
    kernel_depmod "$dir" "$dir/root/usr" "$version"
    cp "$dir/tools/boot/vmlinuz-$version" "$dir/vmlinuz"
    rm -rf "$dir/tools/usr/lib/modules" "$dir/tools/boot"
}

kernel_depmod() {
    local dir=$1 base=$2 version=$3
    ln -sf ../bin/kmod "$dir/root/usr/sbin/depmod"
    run_in_base "$dir" "$dir/root/usr/sbin/depmod" -b "$base" -m /lib/modules "$version"
}

kernel_keep_modules() {
    local recipe=$1 dir=$2 version=$3 from to module
    from=$dir/tools/usr/lib/modules/$version
    to=$dir/root/usr/lib/modules/$version
    mkdir -p "$to"
    cp "$from"/modules.{order,builtin,builtin.modinfo} "$to"
    sed -i 's/\.xz$//' "$to/modules.order"
    kernel_select_modules "$recipe" "$from" |
        (cd "$from" && xargs cp --parents --target-directory="$to" --)
    find "$to" -name '*.ko.xz' -print0 | xargs -0 xz -d
    find "$to" -name '*.ko' -print | while read -r module; do
        kernel_strip_signature "$module"
    done
}

# Cuts off the signature: the modules are measured with the root, and checking 40 signatures takes
# two seconds under emulation. Layout at the end of the file: signature, 12 bytes of which the last
# four are its length (big-endian), 28 bytes of magic.
kernel_strip_signature() {
    local file=$1 size length
    [[ $(tail -c 28 "$file") == '~Module signature appended~' ]] || return 0
    size=$(stat -c %s "$file")
    length=$((16#$(tail -c 32 "$file" | head -c 4 | od -An -tx1 | tr -d ' \n')))
    ((length < size - 40)) || fail "module '$file' has a strange signature"
    truncate -s $((size - 40 - length)) "$file"
}

# Prints each wanted module and what it needs, once.
kernel_select_modules() {
    local recipe=$1 from=$2 pattern path
    list_file "$recipe/modules" | while read -r pattern; do
        for path in "$from"/kernel/$pattern.ko.xz; do
            [[ ! -e $path ]] || printf '%s:\n' "${path#"$from/"}"
        done
    done | awk 'NR == FNR { wanted[$1]; next } $1 in wanted' - "$from/modules.dep" |
        tr -d ':' | tr ' ' '\n' | sed '/^$/d' | LC_ALL=C sort -u
}

# kernel_module_files BASE NAME…: paths of the modules and what they need, in load order.
kernel_module_files() {
    local dir=$1 version name
    shift
    version=$(kernel_version_of_root "$dir")
    for name in "$@"; do
        kernel_load_order "$dir/root/usr/lib/modules/$version" "$name"
    done | awk '!seen[$0]++'
}

kernel_version_of_root() {
    basename "$1"/root/usr/lib/modules/*
}

# modules.dep lists what a module needs, last needed first.
kernel_load_order() {
    local from=$1 name=$2 line
    line=$(grep -E "/${name//[-_]/[-_]}\.ko:" "$from/modules.dep") || fail "no module '$name'"
    tr ' ' '\n' <<<"${line/:/}" | sed '/^$/d' | tac | sed "s|^|$from/|"
}
