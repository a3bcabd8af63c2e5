# shellcheck shell=bash
# shellcheck disable=SC2034  # colours are used by the other files
# What a person sees: one line per stage with its elapsed time, and on failure only the lines that matter.

if [[ -t 1 ]]; then
    BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' DIM=$'\e[2m' RESET=$'\e[0m'
else
    BOLD='' RED='' GREEN='' DIM='' RESET=''
fi

say() { printf '%s\n' "$@"; }

die() {
    printf '%sdev: %s%s\n' "$RED" "$*" "$RESET" >&2
    exit 1
}

now_ms() { date +%s%3N; }

format_ms() { # milliseconds -> "12.3 s" or "2 m 05 s"
    local ms=$1
    if ((ms < 60000)); then
        printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
    else
        printf '%d m %02d s' $((ms / 60000)) $((ms % 60000 / 1000))
    fi
}

# The lines of a log that say what went wrong: the first complaints, then how it ended. Longer lines
# are commands, not messages.
relevant_lines() { # log
    local pattern='(^|[^a-z_])(error|fatal|failed|cannot|denied|unable|no such|not found|undefined|E)[: ]'
    {
        awk 'length($0) < 300' "$1" | grep -iE "$pattern" | head -n 8 || true
        awk 'length($0) < 300' "$1" | tail -n 6
    } | awk '!seen[$0]++' | sed 's/^/    /'
}

spin_while() { # pid, start, title
    local frames='|/-+' i=0
    while kill -0 "$1" 2> /dev/null; do
        printf '\r  %s %-46s %s' "${frames:i++%4:1}" "$3" "$(format_ms $(($(now_ms) - $2)))"
        sleep 0.2
    done
    printf '\r\e[K'
}

# Runs a function or command as one stage; its output goes to build/dev/logs.
stage() { # title, command...
    local title=$1 log start pid rc=0
    shift
    log=$LOG_DIR/$(tr -cs 'a-zA-Z0-9\n' - <<< "$title").log
    start=$(now_ms)
    [[ -t 1 ]] || printf '  %-48s ' "$title"
    (
        set -euo pipefail
        "$@"
    ) > "$log" 2>&1 < /dev/null &
    pid=$!
    # shellcheck disable=SC2064  # the pid of now
    trap "kill $pid 2>/dev/null; printf '\n'; exit 130" INT TERM
    [[ -t 1 ]] && spin_while "$pid" "$start" "$title"
    wait "$pid" || rc=$?
    trap - INT TERM
    [[ -t 1 ]] && printf '  %-48s ' "$title"
    if ((rc == 0)); then
        printf '%s%s%s\n' "$GREEN" "$(format_ms $(($(now_ms) - start)))" "$RESET"
        return 0
    fi
    printf '%sfailed%s after %s\n' "$RED" "$RESET" "$(format_ms $(($(now_ms) - start)))"
    relevant_lines "$log"
    printf '  %swhole log: %s%s\n' "$DIM" "${log#"$ROOT"/}" "$RESET"
    exit 1
}

# As stage, unless nothing changed since it last succeeded.
stage_once() { # stamp, key, title, command...
    local stamp=$STAMP_DIR/$1 key=$2
    shift 2
    if [[ -f $stamp && $(< "$stamp") == "$key" ]]; then
        printf '  %-48s %sup to date%s\n' "$1" "$DIM" "$RESET"
        return 0
    fi
    rm -f "$stamp"
    stage "$@"
    printf '%s' "$key" > "$stamp"
}

hash_of() { # file or folder...
    find "$@" -type f -print0 2> /dev/null | LC_ALL=C sort -z | xargs -0 -r sha256sum | sha256sum | cut -c1-16
}
