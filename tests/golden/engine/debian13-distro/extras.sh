#!/bin/sh
# Installs what the engine calls on occasion, once it runs. Made by pymachine; safe to run again.
#   arm   do it in the background, in a while: the engine's user comes first
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

# place_file STAGED TARGET MODE: as replace_file, of what must not fail; true if the content was not there already.
place_file() {
    code=0
    replace_file "$@" || code=$?
    [ "$code" != 2 ] || die "cannot write $2"
    return "$code"
}

# aside WHAT COMMAND…: what the engine works without. Where it fails that is noted, with what it said.
aside() {
    what=$1
    shift
    said=$("$@" 2>&1 >/dev/null) || note "$what: $(printf '%s' "${said:-$1 failed}" | tail -n 3 | paste -s -d ' ' -)"
}

# place_aside STAGED TARGET MODE: as place_file, of what the engine works without.
place_aside() { aside "cannot write $2" may_replace_file "$@"; }

may_replace_file() {
    replace_file "$@" || [ $? = 1 ]
}

# remove_folder PATH: with all that is in it, also where a link leads to it elsewhere.
remove_folder() {
    [ ! -L "$1" ] || [ ! -d "$1" ] || find "$1/" -mindepth 1 -delete
    rm -rf "$1"
}

# Gives the running system a name; /proc may be read-only where sethostname(2) is not.
set_live_hostname() {
    hostname "$1" 2>/dev/null || hostnamectl --transient set-hostname "$1" 2>/dev/null ||
        echo "$1" 2>/dev/null >/proc/sys/kernel/hostname || note "the host name $1 is in effect from the next boot"
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

# Files that others may own: replaced in one move, through links to the file itself, with the owner, group, mode,
# ACL, label and flags that it has.

# real_file PATH: prints the file or folder that PATH leads to, which need not be there yet.
real_file() {
    if [ -e "$1" ] || [ -L "$1" ]; then
        readlink -f "$1"
    elif [ "${1%/*}" = "" ]; then
        printf '%s\n' "$1"
    else
        printf '%s/%s\n' "$(real_file "${1%/*}")" "${1##*/}"
    fi
}

# flush FILE…: have them on the disk. Before something that was there is replaced, what replaces it and what it is put
# back from are: a power cut would leave empty files.
flush() { sync "$@" 2>/dev/null || sync; }

# replace_file STAGED PATH MODE: true if PATH has the content of STAGED now, 1 if it had it already, 2 if that failed.
# MODE is that of a new file. What is private (600, 700) is root's alone, whatever was there.
replace_file() {
    file=$(real_file "$2") && [ -n "$file" ] || return 2
    [ -f "$file" ] || [ ! -e "$file" ] || return 2
    if [ -f "$file" ] && cmp -s "$1" "$file"; then
        case $3 in
            600 | 700) { chown 0:0 "$file" && chmod "$3" "$file"; } || return 2 ;;
        esac
        return 1
    fi
    mkdir -p "${file%/*}" && rm -f "$file.pymachine-new" && stage_file "$1" "$file" "$3" &&
        { [ ! -e "$file" ] || flush "$file.pymachine-new"; } && mv -f "$file.pymachine-new" "$file" && return 0
    rm -f "$file.pymachine-new"
    return 2
}

stage_file() {
    case $3:$(stat -c %F "$2" 2>/dev/null) in
        600:* | 700:* | *:)
            # Nobody can open it before it is as private as it will be, whatever ACL the folder gives to its files.
            (umask 077 && : >"$2.pymachine-new") && chmod 600 "$2.pymachine-new" &&
                cat "$1" >"$2.pymachine-new" && chmod "$3" "$2.pymachine-new"
            ;;
        *) cp -a "$2" "$2.pymachine-new" && cat "$1" >"$2.pymachine-new" && copy_attributes "$2" "$2.pymachine-new" ;;
    esac
}

# copy_attributes FROM TO: all but the content; fails where TO would not be as FROM is.
copy_attributes() {
    chown "$(stat -c %u:%g "$1")" "$2" && chmod "$(stat -c %a "$1")" "$2" || return
    if command -v getfacl >/dev/null 2>&1 && command -v setfacl >/dev/null 2>&1 &&
        [ "$(getfacl -cp "$1" 2>/dev/null)" != "$(getfacl -cp "$2" 2>/dev/null)" ]; then
        getfacl -cp "$1" 2>/dev/null | setfacl --set-file=- "$2" || return
    fi
    if command -v selinuxenabled >/dev/null 2>&1 && selinuxenabled; then
        chcon --reference="$1" "$2" || return
    fi
    flags=$(lsattr -d "$1" 2>/dev/null | sed 's/ .*//' | tr -cd 'ACDScdjmsu')
    [ -z "$flags" ] || chattr "+$flags" "$2" 2>/dev/null || true
    [ "$(stat -c '%u %g %a' "$1")" = "$(stat -c '%u %g %a' "$2")" ]
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
# Nobody is there to answer what packages ask.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none \
    APT_LISTBUGS_FRONTEND=none UCF_FORCE_CONFFOLD=1

# A configuration file that was changed on the host stays as it is.
apt_get() {
    locked apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Acquire::Retries=2 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
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
    locked dpkg --force-confdef --force-confold --configure -a || die 'dpkg is in a broken state that it cannot repair'
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

# One after the other if they cannot be installed at once: a name that this system lacks must not cost the others.
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
