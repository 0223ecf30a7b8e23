#!/bin/sh
# Puts back what the last set-up by pymachine replaced on this host, and starts the engine as it was. Goes on whatever
# fails, and looks at the end: an engine that would listen without TLS is stopped.
set -u
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
# docker-machine's drop-in, which ours takes the place of; with its variables, its owner and mode, and as a link if it is one.
their_drop_in=$state/10-machine.conf

# set_drop_in_aside PATH: true if it was there. On the disk there is always one of the two.
set_drop_in_aside() {
    [ -e "$1" ] || [ -L "$1" ] || return 1
    rm -f "$their_drop_in.pymachine-new"
    cp -a "$1" "$their_drop_in.pymachine-new" && mv -f "$their_drop_in.pymachine-new" "$their_drop_in" &&
        sync && rm -f "$1"
}

# put_drop_in_back PATH: one that was put there in the meantime stays.
put_drop_in_back() {
    [ -e "$their_drop_in" ] || [ -L "$their_drop_in" ] || return 0
    if [ ! -e "$1" ] && [ ! -L "$1" ]; then
        mkdir -p "${1%/*}" && rm -f "$1.pymachine-new" && cp -a "$their_drop_in" "$1.pymachine-new" &&
            mv -f "$1.pymachine-new" "$1" && sync || return
    fi
}

backup=$state/backup/current
[ -f "$backup/entries" ] || exit 0

newline='
'
missed=''
miss() {
    missed=yes
    say log "$1"
}

# put_file_back SAVED PATH: the file, through links as when it was saved, and as it was then.
put_file_back() {
    may_replace_file "$1" "$2" 644 && real=$(real_file "$2") || return
    [ "$(stat -c '%u %g %a' "$1")" = "$(stat -c '%u %g %a' "$real")" ] || copy_attributes "$1" "$real"
}

# put_back KIND PATH
put_back() {
    case $1 in
        kept)
            put_file_back "$backup/files$2" "$2" 2>/dev/null || miss "$2 could not be put back"
            ;;
        aside) put_drop_in_back "$2" 2>/dev/null || miss "$2 could not be put back" ;;
        made) rm -f "$2" 2>/dev/null || miss "$2 could not be removed" ;;
    esac
}

put_entry_back() { put_back "${1%% *}" "${1#* }"; }

remove_new_folder() {
    case $1 in 'folder '*) rmdir "${1#folder }" 2>/dev/null ;; esac
}

# each_line FUNCTION: calls it with each line of $undo, in this very shell.
each_line() {
    lines=$undo
    while [ -n "$lines" ]; do
        "$1" "${lines%%"$newline"*}"
        case $lines in *"$newline"*) lines=${lines#*"$newline"} ;; *) lines='' ;; esac
    done
}

# The last first: what was there before is protected by what was placed after it. No file is written for it: the disk may
# be full, which is why the set-up failed.
put_all_back() {
    undo=$(awk '{ line[NR] = $0 } END { for (n = NR; n; n--) print line[n] }' "$backup/entries")
    each_line put_entry_back
    each_line remove_new_folder
    [ ! -f "$backup/hostname" ] || set_live_hostname "$(cat "$backup/hostname")"
}

drive() {
    if [ "$init" = systemd ]; then systemctl "$1" "$unit" 2>/dev/null; else rc-service "$unit" "$1" >/dev/null 2>&1; fi
}

read_units_again() {
    [ "$init" = systemd ] || return 0
    systemctl daemon-reload || miss 'systemd could not read its units again'
    systemctl reset-failed "$unit" 2>/dev/null
}

start_as_it_was() {
    if [ -f "$backup/was-active" ] && [ -f "$backup/restarted" ]; then
        # The engine may have been stopped with live-restore on; without it on at the start too, it would end
        # the containers that it finds.
        [ ! -f "$backup/daemon.before.json" ] || may_replace_file "$backup/daemon.before.json" "$config" 644 ||
            miss "$config could not be written"
        drive restart || miss 'the engine does not start as it was'
    elif [ ! -f "$backup/was-active" ]; then
        drive stop
    fi
    [ ! -f "$backup/daemon.before.json" ] || return_config
}

return_config() {
    grep -qs '"live-restore": *true' "$backup/files$config" || return_live_restore "$backup/daemon.before.json"
    if grep -qxF "kept $config" "$backup/entries"; then
        put_file_back "$backup/files$config" "$config" || miss "$config could not be put back"
    else
        rm -f "$config" || miss "$config could not be removed"
    fi
}

# True if an engine answers on our port to anybody who asks.
answers_without_tls() {
    if command -v curl >/dev/null 2>&1; then
        [ "$(curl -s -o /dev/null -w '%{http_code}' --noproxy '*' --max-time 5 "http://127.0.0.1:$port/_ping")" = 200 ]
    elif command -v wget >/dev/null 2>&1; then
        wget -q -T 5 -t 1 -O /dev/null --no-proxy "http://127.0.0.1:$port/_ping" 2>/dev/null
    else
        docker -H "tcp://127.0.0.1:$port" version >/dev/null 2>&1
    fi
}

# True if the engine's next start would open the port without asking for certificates.
would_open() {
    # Blanks may be anywhere between keys and values, and a slash may be escaped.
    dense=$(tr -d ' \t\r\n' <"$config" 2>/dev/null | sed 's|\\/|/|g')
    case $dense in *'"tlsverify":true'*) return 1 ;; esac
    ! printf '%s\n' "$dense" | grep -Eq "\"tcp://[^\"]*:$port\"" || return 0
    [ "$init" = systemd ] || return 1
    words=$(systemctl show -p ExecStart --value "$unit")
    case $words in
        *--tlsverify=[fF0]*) ;;
        *--tlsverify*) return 1 ;;
    esac
    case $words in *tcp://*:"$port "*) return 0 ;; esac
    return 1
}

# Whatever could not be put back: a port without TLS is closed, now and for the next start.
close_port() {
    [ "$init" != systemd ] || systemctl stop docker.socket 2>/dev/null
    drive stop
    if [ "$init" = systemd ]; then
        systemctl disable -q "$unit" docker.socket 2>/dev/null
    else
        rc-update -q del "$unit" 2>/dev/null
    fi
    miss "the engine would listen on TCP port $port without TLS: it is stopped, and does not start by itself any more"
}

find_engine
started=$(date +%s)
config=$(cat "$backup/config-path")
put_all_back
port=$(cat "$backup/port" 2>/dev/null)
if [ -n "$unit" ]; then
    read_units_again
    # Looked at before the start, which would open it, and after.
    if [ -n "$port" ] && would_open; then
        close_port
    else
        start_as_it_was
        [ -z "$port" ] || ! listening "$port" || ! answers_without_tls || close_port
    fi
fi
rm -f "$state/restart-needed"
if [ -f "$backup/recovery.json" ]; then
    may_replace_file "$backup/recovery.json" "$state/manifest.json" 600 || miss "$state/manifest.json could not be put back"
fi
[ -z "$missed" ] || exit 1
rm -f "$backup/entries" "$backup/restarted" "$backup/was-active" "$backup/daemon.before.json" "$backup/hostname"
note 'the former configuration was restored'
