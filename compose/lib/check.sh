# shellcheck shell=bash
# Static checks on what git tracks.

tracked() { git -C "$ROOT" ls-files -- "$@"; }

check_format() { (cd "$ROOT" && tracked '*.c' '*.h' | xargs -r clang-format --dry-run -Werror); }

shell_scripts() { # tracked files that a shell runs
    (cd "$ROOT" && git grep -lIE '^#!.*\b(ba|da)?sh\b|^# shellcheck shell=' -- . ':!*.md' ':!*.c' ':!*.h')
}

check_shell() { (cd "$ROOT" && shell_scripts | xargs -r shellcheck -x -S style); }

check_spelling() { (cd "$ROOT" && tracked | grep -vE '^(shared|tests)/.*/vectors?/|\.(der|bin|pem)$' | xargs -r codespell); }

check_cppcheck() {
    (cd "$ROOT" && tracked '*.c' | xargs -r cppcheck --quiet --std=c11 --enable=warning,performance,portability \
        --inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem -I . -j "$(nproc)" \
        --library=posix -D_GNU_SOURCE)
}

check_tidy() {
    cmake -S "$ROOT" -B "$ROOT/build/check" --preset dev
    cmake --build "$ROOT/build/check" --target help > /dev/null
    # generated protobuf headers must exist before a file that includes them can be read
    cmake --build "$ROOT/build/check"
    (cd "$ROOT" && tracked '*.c' | xargs -r -n 8 -P "$(nproc)" clang-tidy --quiet -p build/check)
}

run_checks() {
    setup_packages demo test check
    stage "clang-format" check_format
    stage "shellcheck" check_shell
    stage "codespell" check_spelling
    stage "cppcheck" check_cppcheck
    stage "clang-tidy" check_tidy
}
