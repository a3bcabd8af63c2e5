# shellcheck shell=bash
# Static checks on what git tracks.

tracked() { git -C "$ROOT" ls-files -- "$@"; }

check_format() { (cd "$ROOT" && tracked '*.c' '*.h' | xargs -r clang-format --dry-run -Werror); }

shell_scripts() { # tracked files that a shell runs
    (cd "$ROOT" && git grep -lIE '^#!.*\b(ba|da)?sh\b|^# shellcheck shell=' -- . ':!*.md' ':!*.c' ':!*.h')
}

# SC2187: busybox' shell is close enough to dash
check_shell() { (cd "$ROOT" && shell_scripts | xargs -r shellcheck -x -S style -e SC2187); }

check_spelling() { (cd "$ROOT" && tracked | grep -vE '^tests/(vectors|fuzz/[^.]*)/|\.(der|bin|pem)$' |
    xargs -r codespell -L fo,chage,stopp,kernal,asign,nmae,ody); }

# Leaks and lifetimes are left to ASan and gcc: cppcheck knows no cleanup attribute and takes every
# pointer that a call returns for one of its arguments.
check_cppcheck() {
    (cd "$ROOT" && tracked '*.c' | xargs -r cppcheck --quiet --std=c11 --enable=warning,performance \
        --inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem --suppress=memleak \
        --suppress=resourceLeak --suppress=returnDanglingLifetime --suppress=invalidLifetime -I . \
        -j "$(nproc)" -D_GNU_SOURCE --library=posix --library=compose/lib/cppcheck-jansson.cfg)
}

# unix.Malloc reports false leaks on cleanup variables; the buffer check wants Annex K functions.
TIDY_CHECKS='-*,clang-analyzer-*,-clang-analyzer-unix.Malloc,-clang-analyzer-optin.performance.Padding'
TIDY_CHECKS+=',-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling'

check_tidy() {
    cmake -S "$ROOT" -B "$ROOT/build/check" --preset dev
    # generated protobuf headers must exist before a file that includes them can be read
    cmake --build "$ROOT/build/check" --target coffer-schemas
    # one file a run: in a run's later files clang 14 does not recognise va_start()
    (cd "$ROOT" && jq -r '.[].file' build/check/compile_commands.json | grep -v /build/ | sort -u |
        xargs -n 1 -P "$(nproc)" clang-tidy --quiet --warnings-as-errors='*' --checks="$TIDY_CHECKS" -p build/check)
}

# Every check runs, also after one that failed.
run_checks() {
    local title rc=0
    setup_packages demo test check
    for title in format shell spelling cppcheck tidy; do
        # not in a condition: there, bash would ignore errors inside
        set +e
        (
            set -e
            stage "$title" "check_$title"
        )
        rc=$((rc | $?))
        set -e
    done
    return "$rc"
}
