#!/bin/sh
# Gives the engine another list of authorities whose clients it accepts, and restarts it. Made by pymachine; safe to run
# again. Where it listens and that it asks for certificates is not touched: only what stands in the list changes.
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
# Which dockerd run on this host, where they listen, and asking them there: as the kernel has it, whatever their
# configuration or their units say.

is_dockerd() {
    { read -r comm <"$1/comm"; } 2>/dev/null || return 1
    case $comm in dockerd | dockerd-[0-9]* | dockerd-ce | dockerd-current | dockerd-dev | dockerd-latest) ;; *) return 1 ;; esac
}

# The process ids of all dockerd; those in containers have process ids of their own.
dockerds() {
    for process in /proc/[0-9]*; do
        is_dockerd "$process" || continue
        [ "$(readlink "$process/ns/pid")" != "$(readlink /proc/self/ns/pid)" ] || echo "${process#/proc/}"
    done
}

# unit_of PID: the unit whose process it is, empty outside of all.
unit_of() { sed -nE 's/^(0:|[0-9]+:name=systemd):.*\/([^/]+)$/\2/p' "/proc/$1/cgroup" 2>/dev/null | head -n 1; }

# The dockerd that the unit runs: by itself, or through a program that does not go away.
engine_pid() {
    if [ "$init" = systemd ]; then
        main=$(systemctl show "$unit" -p MainPID | sed 's/.*=//')
        [ "${main:-0}" != 0 ] || return 0
        is_dockerd "/proc/$main" || for daemon in $(dockerds); do
            [ "$(unit_of "$daemon")" = "$unit" ] || continue
            main=$daemon
            break
        done
        echo "$main"
    elif rc-service "$unit" status >/dev/null 2>&1; then
        dockerds | head -n 1
    fi
}

# sockets_of PID: the unix sockets that it listens on; a name outside of all folders has an @ before it. Those of its
# networks and metrics are not the engine's. The first were opened last: what systemd handed over comes after them, and
# is not served by an engine that was not told to.
sockets_of() {
    {
        # shellcheck disable=SC2012 # readlink of busybox takes one name only
        ls -l "/proc/$1/fd" 2>/dev/null | sed -n 's/.* \([0-9]*\) -> socket:\[\([0-9]*\)\]$/own \2 \1/p'
        cat "/proc/$1/net/unix" 2>/dev/null
    } | awk '$1 == "own" { own[$2] = $3; next }
        $4 == "00010000" && $5 == "0001" && ($7 in own) {
            number = own[$7]
            for (i = 0; i < 7; i++) sub(/^[^ ]+ +/, "")
            if ($0 != "") print number, $0
        }' | grep -v -e /docker/libnetwork/ -e /docker/metrics.sock | sort -rn | sed 's/^[0-9]* //' | head -n 8
}

# place_of PID SOCKET: the same socket by a name that holds outside of the folders that the process sees.
place_of() {
    case $2 in
        @*) echo "$2" ;;
        /*) if [ "$(printf %s "$2" | wc -c)" -lt 90 ]; then echo "/proc/$1/root$2"; else echo "$2"; fi ;;
        *) echo "/proc/$1/cwd/$2" ;;
    esac
}

# ask PLACE PATH [COMMAND]: what the engine at a socket answers; COMMAND says it through the client, on hosts without curl
# or with one that knows no such sockets.
ask() {
    asked=127
    if command -v curl >/dev/null 2>&1; then
        how=--unix-socket
        case $1 in @*) how=--abstract-unix-socket ;; esac
        asked=0
        curl -s -g --noproxy '*' --max-time 20 "$how" "${1#@}" "http://localhost$2" || asked=$?
    fi
    case $asked in 2 | 126 | 127) ;; *) return "$asked" ;; esac
    if [ -n "${3-}" ] && command -v docker >/dev/null 2>&1; then
        # shellcheck disable=SC2086 # the words of a constant
        bounded env DOCKER_HOST="unix://$1" $3
    else
        return "$asked"
    fi
}

# ask_for_info PID: sets sock to the socket at which that engine answers, and said to its /info. False where it does not.
ask_for_info() {
    sock='' said=''
    listens=$(sockets_of "$1")
    while IFS= read -r candidate; do
        [ -n "$candidate" ] || continue
        said=$(ask "$(place_of "$1" "$candidate")" /info 'docker info --format {{json .}}' </dev/null 2>/dev/null) || true
        case $said in *'"DockerRootDir":"/'* | *'"DockerRootDir": "/'*) sock=$candidate && return 0 ;; esac
    done <<END_OF_SOCKETS
$listens
END_OF_SOCKETS
    return 1
}

bounded() { if command -v timeout >/dev/null 2>&1; then timeout 20 "$@"; else "$@"; fi; }

# ask_engine KEY: the value of a boolean in the engine's /info.
ask_engine() {
    ask_for_info "$(engine_pid)" || return 0
    printf '%s\n' "$said" | grep -o "\"$1\": *[a-z]*" | sed 's/.*: *//'
}

reload_engine() { kill -HUP "$(engine_pid)"; }

# live_restore_is VALUE: waits up to six seconds for the running engine to have it so.
live_restore_is() {
    tries=0
    until [ "$(ask_engine LiveRestoreEnabled)" = "$1" ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 30 ] || return 1
        sleep 0.2
    done
}

# switch_live_restore FILE: make FILE the daemon.json of the running engine, and see that it took live-restore up.
switch_live_restore() {
    place_file "$1" "$config" 644 || true
    reload_engine
    live_restore_is true || die "the engine did not take up live-restore, so containers would stop" \
        'stop the containers yourself, or set live-restore to false in its daemon.json to allow that'
}

# return_live_restore FILE: switch off what FILE had switched on. The engine keeps what it has where the key is merely
# gone, so for a moment it reads a plain no.
return_live_restore() {
    engine_is_active || return 0
    sed 's/^  "live-restore": true/  "live-restore": false/' "$1" >"$1.off"
    place_file "$1.off" "$config" 644 || true
    rm -f "$1.off"
    reload_engine
    live_restore_is false || note 'live-restore stays on in the engine until its next restart'
}

# restart_engine: start or restart, and wait until it runs; fails at once when the unit does.
restart_engine() {
    started=$(date +%s)
    if [ "$init" = systemd ]; then
        systemctl reset-failed "$unit" 2>/dev/null || true
        systemctl restart "$unit" || return 1
    else
        rc-service "$unit" restart || return 1
    fi
}

# wait_for_port PORT
wait_for_port() {
    tries=0
    until listening "$1"; do
        engine_is_active || die "the engine ended right after its start"
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || die "the engine runs but does not listen on TCP port $1"
        sleep 0.2
    done
}

here=$(cd "$(dirname "$0")" && pwd)
current=starting
config=/etc/docker/daemon.json
list=/etc/docker/pymachine/ca.pem

finish() {
    code=$?
    trap - EXIT
    set +e
    if [ "$code" != 0 ]; then
        say failed "$current"
        unit_log
        put_back
        restore_live
    fi
    exit "$code"
}

# The former list again, and a look at what became of the engine. A step that fails does not keep the next from its try.
put_back() {
    [ -f "$here/placed" ] || return 0
    replace_file "$here/list.found" "$list" 644
    [ $? != 2 ] || say log "the former $list could not be put back"
    if [ -f "$here/restarted" ]; then
        restart_engine
        tries=0
        until listening 2376 || [ "$tries" = 50 ]; do
            tries=$((tries + 1))
            sleep 0.2
        done
        listening 2376 || say log 'the engine does not listen with its former list of authorities either'
    fi
}

keep_containers() {
    [ -f "$here/daemon.before.json" ] || return 0
    if [ -f "$config" ]; then cp -p "$config" "$here/daemon.found.json"; else : >"$here/daemon.none"; fi
    switch_live_restore "$here/daemon.before.json"
}

# Puts daemon.json back, and live-restore off again: it was only borrowed for the restart.
restore_live() {
    [ -f "$here/daemon.found.json" ] || [ -f "$here/daemon.none" ] || return 0
    ( return_live_restore "$here/daemon.before.json" )
    if [ -f "$here/daemon.found.json" ]; then
        replace_file "$here/daemon.found.json" "$config" 644
        [ $? != 2 ] || say log "the former $config could not be put back"
    else
        rm -f "$config"
    fi
    rm -f "$here/daemon.found.json" "$here/daemon.none"
}

# The host is as it was when the change was planned, and no set-up of it was cut off half-way.
check_state() {
    [ ! -f "$state/backup/current/entries" ] || [ -f "$state/backup/current/complete" ] ||
        die 'a set-up of this host was cut off' 'run pymachine provision where the machine was created, then try again'
    grep -qF '"id": "0123456789abcdef"' "$state/manifest.json" 2>/dev/null ||
        die 'the host does not belong to the same machine any longer' 'try again'
    [ "$(sha256sum <"$list" | sed 's/ .*//')" = 7599e4a47f7516347597e45510a6b5d0860d577200cb59bf8a0bd2940fb05293 ] ||
        die "$list was changed during the preparation" 'try again'
}

trap finish EXIT
trap 'exit 130' HUP INT TERM
find_engine
[ -n "$unit" ] || die 'the engine that was on the host is gone'
check_state
step 'append it'
cp "$list" "$here/list.found"
keep_containers
: >"$here/placed"
place_file "$here/list" "$list" 644 || true
step 'restarting the engine'
: >"$here/restarted"
restart_engine || die 'the engine does not start'
wait_for_port 2376
set +e
restore_live
set -e
say "done" "unit=$unit restarted=yes"
