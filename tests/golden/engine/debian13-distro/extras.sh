#!/bin/sh
# Installs what the engine calls on occasion, once it runs. Made by pymachine; safe to run again.
#   arm   do it in the background, in a while: whoever made the engine wants to use it first
#   run   do it now
#   stop  do not do it; what is being installed comes to its end
# The names are in extras beside this file, which goes when they are installed: what was cut off is seen by it.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
umask 022
state=/var/lib/pymachine

say() { printf '@pymachine %s %s\n' "$1" "$2"; }

note() { say note "$1"; }

step() {
    current=$1
    say step "$current"
}

# die REASON [HINT]
die() {
    say error "$1"
    [ -z "${2-}" ] || say hint "$2"
    exit 1
}

# place_file STAGED TARGET MODE: put a file where it belongs, in one move; true if it was not there already.
place_file() {
    if [ -f "$2" ] && cmp -s "$1" "$2"; then
        chmod "$3" "$2"
        return 1
    fi
    mkdir -p "$(dirname "$2")"
    rm -f "$2.pymachine-new"
    if (umask 077 && cp "$1" "$2.pymachine-new") && chmod "$3" "$2.pymachine-new" && mv -f "$2.pymachine-new" "$2"; then
        return 0
    fi
    rm -f "$2.pymachine-new"
    die "cannot write $2"
}

# Gives the running system a name; /proc may be read-only where sethostname(2) is not.
set_live_hostname() {
    hostname "$1" 2>/dev/null || hostnamectl --transient set-hostname "$1" 2>/dev/null ||
        echo "$1" 2>/dev/null >/proc/sys/kernel/hostname || note "the host name $1 counts from the next boot on"
}

# True if something accepts connections on TCP port $1, as the kernel's tables have it.
listening() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
        awk -v port="$(printf '%04X' "$1")" '$4 == "0A" && $2 ~ ":" port "$" { found = 1 } END { exit !found }'
}

# close_in_firewalld PORT [ZONE]: where firewalld does not run now, its files are changed. Closed already is closed.
close_in_firewalld() {
    command -v firewall-cmd >/dev/null 2>&1 || return 0
    if firewall-cmd -q --state >/dev/null 2>&1; then
        firewall-cmd -q --permanent ${2:+"--zone=$2"} "--remove-port=$1/tcp" >/dev/null 2>&1 || true
        firewall-cmd -q ${2:+"--zone=$2"} "--remove-port=$1/tcp" >/dev/null 2>&1 || true
    else
        firewall-offline-cmd -q ${2:+"--zone=$2"} "--remove-port=$1/tcp" >/dev/null 2>&1 || true
    fi
}

engine_is_active() {
    if [ "$init" = systemd ]; then systemctl is-active -q "$unit"; else rc-service "$unit" status >/dev/null 2>&1; fi
}

# The engine's own last words since this script started it.
unit_log() {
    [ -n "${unit-}" ] && [ -n "${started-}" ] || return 0
    if [ "$init" = systemd ]; then
        journalctl -q -u "$unit" -n 200 --no-pager -o cat --since "@$started" 2>/dev/null
    else
        tail -n 200 /var/log/docker.log 2>/dev/null
    fi | grep -Ev 'level=(debug|info) ' | tail -n 12 | while IFS= read -r line; do say log "$line"; done
}

# Finds the unit that runs dockerd, and dockerd itself: names and places differ by distribution.
# Sets: init, unit, dockerd (each empty where there is none).
find_engine() {
    init=other unit='' dockerd=''
    if [ -d /run/systemd/system ]; then
        init=systemd
        find_systemd_unit
    elif command -v rc-service >/dev/null 2>&1; then
        init=openrc
        [ ! -f /etc/init.d/docker ] || unit=docker
    fi
    dockerd=$(command -v dockerd 2>/dev/null || true)
    if [ -z "$dockerd" ] && [ -n "$unit" ] && [ "$init" = systemd ]; then
        dockerd=$(systemctl show -p ExecStart "$unit" | sed -n 's/.*{ path=\([^ ;]*\) ;.*/\1/p')
        [ -x "$dockerd" ] || dockerd=''
    fi
}

# The files only tell which units to ask systemd about; of several that run a dockerd, docker.service is the one.
find_systemd_unit() {
    named=$(grep -ls dockerd /etc/systemd/system/*.service /run/systemd/system/*.service \
        /usr/local/lib/systemd/system/*.service /usr/lib/systemd/system/*.service \
        /lib/systemd/system/*.service | sed 's|.*/||; /@\./d' | sort -u || true)
    # shellcheck disable=SC2086 # names of units, none of which holds a blank
    unit=$(systemctl show -p Id -p ExecStart docker.service $named 2>/dev/null | awk '
        function ended() {
            if (command ~ /\/dockerd(-[a-z]+)?[ ;]/ && (id == "docker.service" || found == "")) found = id
            id = command = ""
        }
        /^Id=/ { id = substr($0, 4) }
        /^ExecStart=/ { command = command $0 }
        /^$/ { ended() }
        END { ended(); print found }')
}

here=/run/pymachine-extras
timer=pymachine-extras.timer service=pymachine-extras.service
# locked COMMAND…: run it again, for five minutes, while somebody else holds a lock of the package manager.
locked() {
    tries=0
    while :; do
        mark=$(wc -c <"$here/log")
        ! "$@" || return 0
        tail -c "+$((mark + 1))" "$here/log" | grep -Eiq 'could not get lock|unable to (lock|acquire)|is locked by|lock was locked|waiting for process' || return 1
        tries=$((tries + 1))
        [ "$tries" -le 60 ] || return 1
        [ "$tries" != 1 ] || note 'waiting for another package manager on the host'
        sleep 5
    done
}
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none

apt_get() {
    locked apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=2 \
        -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@"
}

# known PACKAGE…: prints those that some package source has.
known() {
    apt-cache policy "$@" | awk '/^[^ ].*:$/ { sub(/:$/, ""); name = $1 } $1 == "Candidate:" && $2 != "(none)" { print name }'
}

# A package manager that was cut off (power, a killed session) refuses all work until it is set right.
heal() {
    [ -n "$(dpkg --audit)" ] || return 0
    note 'finishing an interrupted package installation'
    locked dpkg --force-confold --configure -a || die 'dpkg is in a broken state that it cannot mend by itself'
}

installed_packages() {
    # shellcheck disable=SC2016 # a format of dpkg-query
    dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | awk '$1 ~ /^.i/ { print $2 }'
}

# begin_packages FILE: what was there before is written down once, and stays written when this is cut off: what came
# since is ours.
begin_packages() {
    [ ! -f "$state/$1" ] || return 0
    mkdir -p "$state"
    installed_packages | sort -u >"$state/$1.new"
    mv "$state/$1.new" "$state/$1"
}

# end_packages FILE: add what came since to the list of what is ours.
end_packages() {
    [ -f "$state/$1" ] || return 0
    { cat "$state/installed" 2>/dev/null || true; installed_packages | sort -u | comm -13 "$state/$1" -; } |
        sort -u >"$state/installed.new"
    mv "$state/installed.new" "$state/installed"
    rm -f "$state/$1"
}

add() {
    heal
    # What no source has is left out: a site of its own may not carry it.
    # shellcheck disable=SC2046 # package names
    set -- $(known "$@")
    [ $# = 0 ] || apt_get install --no-install-recommends --no-remove "$@"
}

# One after the other where they do not go together: a name that this system lacks must not cost the others.
add_each() {
    add "$@" && return 0
    code=0
    for name; do add "$name" || code=1; done
    return "$code"
}

run() {
    [ -s "$state/extras" ] || return 0
    (umask 077 && mkdir -p "$here")
    exec 8>"$here/lock"
    flock 8
    [ -s "$state/extras" ] || return 0
    # A daemon that a package starts must not keep the lock, nor what is printed.
    (
        exec 8>&-
        begin_packages extras-before
        code=0
        # shellcheck disable=SC2046 # package names
        add_each $(cat "$state/extras") >"$here/log" 2>&1 || code=$?
        end_packages extras-before
        exit "$code"
    ) || {
        tail -n 5 "$here/log" >"$state/extras-failed"
        die "some of these could not be installed: $(paste -s -d ' ' "$state/extras")" "$(cat "$state/extras-failed")"
    }
    rm -rf "$state/extras" "$state/extras-failed" "$here"
}

armed() { systemctl is-active -q "$timer" || systemctl is-active -q "$service"; }

arm() {
    [ -s "$state/extras" ] || return 0
    if [ -d /run/systemd/system ]; then
        ! armed || return 0
        rm -f "$state/extras-failed"
        systemctl reset-failed "$timer" "$service" 2>/dev/null || true
        ! systemd-run -q --collect --unit="${service%.service}" --on-active=30 --timer-property=AccuracySec=1s \
            -p Nice=19 -p IOSchedulingClass=idle sh "$state/extras.sh" run 2>/dev/null || return 0
    fi
    run
}

stop() {
    [ -d /run/systemd/system ] || return 0
    systemctl stop "$timer" 2>/dev/null || true
    tries=0
    while systemctl is-active -q "$service" || [ "$(systemctl show -p ActiveState --value "$service")" = activating ]; do
        tries=$((tries + 1))
        [ "$tries" -le 600 ] || die 'the packages that follow the engine are not installed after 10 minutes'
        sleep 1
    done
}

case ${1-} in
    arm | run | stop) "$1" ;;
    *) die 'give arm, run or stop' ;;
esac
