# shellcheck shell=bash
# Packages the host needs. Everything else lives in containers.

has_command() { # command, or "compose" for either generation
    case $1 in
    compose) docker compose version > /dev/null 2>&1 || command -v docker-compose > /dev/null ;;
    *) command -v "$1" > /dev/null ;;
    esac
}

installed() { [[ $(dpkg-query -W -f='${Status}' "$1" 2> /dev/null) == 'install ok installed' ]]; }

known_package() { apt-cache show --no-all-versions "$1" 2> /dev/null | grep -q '^Package:'; }

# One line of packages.txt: the package to install, or nothing when it is there.
wanted_package() { # names, @command or ""
    local name
    [[ $2 == @* ]] && has_command "${2#@}" && return 0
    for name in ${1//|/ }; do
        installed "$name" && return 0
    done
    for name in ${1//|/ }; do
        known_package "$name" && { say "$name"; return 0; }
    done
    say "${1%%|*}"
}

missing_packages() { # groups...
    local group names command
    while read -r group names command; do
        [[ " $* " == *" $group "* ]] && wanted_package "$names" "$command"
    done < <(grep -vE '^(#|$)' "$ROOT/compose/packages.txt") | sort -u
}

install_packages() { # packages...
    # without systemd, runlevel 1 keeps packages from starting their services
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get -q update
    apt-get -q install -y --no-install-recommends "$@"
}

setup_packages() { # groups...
    local missing
    command -v apt-get > /dev/null || die "needs Debian 12 or later, or Ubuntu (no apt-get here)"
    compgen -G '/var/lib/apt/lists/*_Packages*' > /dev/null || ((EUID)) || stage "package lists" apt-get -q update
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    ((EUID == 0)) || die "missing: ${missing[*]}
     install with: sudo apt-get install --no-install-recommends ${missing[*]}"
    stage "packages: ${#missing[@]} to install" install_packages "${missing[@]}"
}
