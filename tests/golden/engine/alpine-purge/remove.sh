#!/bin/sh
# Takes off this host what pymachine's set-up added, and nothing else. Safe to run again.
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
# The line of 127.0.1.1 in /etc/hosts that names the host. Other lines of that address, other names and the comment in the
# line stay.

# own_names: functions of awk. is_own(word, host): whether it is the host's name, long or short.
own_names='
    function is_own(word, host) {
        return host != "" && (word == host || index(word, host ".") == 1 || index(host, word ".") == 1)
    }
    function others(line, host, known,   at, comment, count, word, n, kept) {
        if (at = index(line, "#")) { comment = " " substr(line, at); line = substr(line, 1, at - 1) }
        count = split(line, word, " ")
        for (n = 2; n <= count; n++)
            if (!is_own(word[n], name) && !is_own(word[n], host) && index(known " ", " " word[n] " ") == 0)
                kept = kept " " word[n]
        return kept (index(known, "#") ? "" : comment)
    }
    function names(line, host,   count, word, n) {
        sub(/#.*/, "", line)
        count = split(line, word, " ")
        if (word[1] != "127.0.1.1") return 0
        for (n = 2; n <= count; n++) if (is_own(word[n], name) || is_own(word[n], host)) return 1
        return 0
    }
'

# rename_in_hosts FILE NAME OLD: prints the file with that name for the host.
rename_in_hosts() {
    awk -v name="$2" -v old="$3" "$own_names"'
        BEGIN { short = name; sub(/\..*/, "", short); line = "127.0.1.1\t" name (short != name ? " " short : "") }
        !done && names($0, old) { print line others($0, old, ""); done = 1; next }
        { print }
        END { if (!done) print line }' "$1"
}

# restore_in_hosts FILE NAME BEFORE: prints the file with the line that was there before, and with what came to ours since.
restore_in_hosts() {
    awk -v name="$2" -v before="$3" "$own_names"'
        !done && $1 == "127.0.1.1" && $2 == name {
            done = 1
            known = before
            gsub(/[ \t]+/, " ", known)
            more = others($0, "", known)
            if (before != "") print before more
            else if (more != "") print "127.0.1.1" more
            next
        }
        { print }' "$1"
}
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
purge_packages() {
    locked apk del -q "$@" || die 'the engine could not be removed'
}
# What engines keep in their folders, where others may keep more.
engines_own='aufs btrfs builder buildkit containerd containers devicemapper engine-id execdriver fuse-overlayfs graph image
    init metadata network overlay overlay2 plugins rootfs runtimes swarm tmp tmp-old trust vfs volumes zfs [0-9]*.[0-9]*'
containerds_own='io.containerd.* tmpmounts'

# mounts_at PATH: what is mounted there and below, the deepest first, as "kind place".
mounts_at() {
    top=$1 awk '
        { place = $5; gsub(/\\040/, " ", place); gsub(/\\011/, "\t", place); gsub(/\\134/, "\\", place) }
        place == ENVIRON["top"] || index(place, ENVIRON["top"] "/") == 1 {
            for (i = 6; $i != "-"; i++) continue
            print $(i + 1), place
        }' /proc/self/mountinfo | LC_ALL=C sort -rk 2
}

is_mounted() { [ "$(mounts_at "$1" | sed -n '$s/^[^ ]* //p')" = "$1" ]; }

# clear_data FOLDER NAMES: takes away what an engine kept in its folder. A folder that is mounted, or that FOLDER is a
# link to, was somebody's before: it stays, empty. Of such ones, and of any that is not the usual one, only NAMES go.
clear_data() {
    real=$(readlink -f "$1") && [ -d "$real" ] || return 0
    case $real in
        / | /boot | /etc | /home | /media | /mnt | /opt | /root | /run | /srv | /tmp | /usr | /var | /var/lib | /var/tmp)
            note "the data of the engine in $real stays: the folder may contain other data"
            return 0
            ;;
    esac
    unmount_own "$real"
    theirs=''
    if [ -L "$1" ] || is_mounted "$real"; then theirs=yes; fi
    case $theirs$real in
        /var/lib/docker | /var/lib/containerd)
            clear_tree "$real" 0
            return 0
            ;;
    esac
    # shellcheck disable=SC2086 # patterns
    for entry in $(cd "$real" && printf '%s\n' $2); do clear_tree "${real%/}/$entry" 1; done
    [ -n "$theirs" ] || rmdir "$real" 2>/dev/null || true
}

# What a daemon that was killed left mounted; its own mount of its folder on itself as well.
unmount_own() {
    mounts_at "$1" | while read -r kind place; do
        case $kind:${place#"$1"} in
            overlay:?* | aufs:?* | fuse.fuse-overlayfs:?* | nsfs:?* | tmpfs:/containers/*/mounts/*) ;;
            *:) [ -e /run/docker/unmount-on-shutdown ] || continue ;;
            *) continue ;;
        esac
        umount "$place" 2>/dev/null || umount -l "$place" 2>/dev/null || true
    done
}

# clear_tree PATH DEPTH: removes it, but for what somebody mounted there: a folder of the engine's that is a mount of its
# own (DEPTH 1) stays and is empty, what is mounted further down belongs to others.
clear_tree() (
    [ -e "$1" ] || [ -L "$1" ] || exit 0
    if [ -z "$(mounts_at "$1")" ]; then
        rm -rf "$1" || die "$1 could not be removed"
        exit 0
    fi
    if is_mounted "$1" && [ "$2" != 1 ]; then
        note "the file system mounted at $1 stays"
        exit 0
    fi
    for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do clear_tree "$entry" $(($2 + 1)); done
    is_mounted "$1" || rmdir "$1" 2>/dev/null || true
)

# Containers that outlive their engine would go on in folders that are deleted.
end_containers() {
    [ -n "$unit" ] && ask_for_info "$(engine_pid)" || return 0
    case $said in *'"LiveRestoreEnabled":true'*) ;; *) return 0 ;; esac
    DOCKER_HOST="unix://$(place_of "$(engine_pid)" "$sock")"
    export DOCKER_HOST
    docker ps -q --no-trunc 2>/dev/null | while read -r one; do docker kill "$one" >/dev/null 2>&1 || true; done
    unset DOCKER_HOST
}

here=$(cd "$(dirname "$0")" && pwd)
current=starting
config=/etc/docker/daemon.json

finish() {
    code=$?
    trap - EXIT
    set +e
    if [ "$code" != 0 ]; then
        say failed "$current"
        unit_log
    fi
    exit "$code"
}

check_config() {
    found=absent
    [ ! -f "$config" ] || found=$(sha256sum <"$config" | sed 's/ .*//')
    [ "$found" = 18de9fb6145d4241ea0886ff594fb2a55ca9ec14e91a5254437857da353c46e7 ] || die "$config was changed during the preparation" 'try again'
}

# Puts daemon.json back to what is the user's, or takes it away if nothing is; a link that was created in the meantime stays.
restore_config() {
    if [ -L "$config" ] && [ ! -f "$here/daemon.json" ]; then
        echo '{}' >"$here/daemon.json"
    fi
    if [ -f "$here/daemon.json" ]; then
        place_file "$here/daemon.json" "$config" 644 || true
    else
        rm -f "$config"
    fi
}

remove_units() {
    for file in /etc/systemd/system/*.d/zz-pymachine.conf /run/systemd/system/docker.service.d/zz-pymachine-wait.conf; do
        [ -f "$file" ] || continue
        rm -f "$file"
        rmdir "${file%/*}" 2>/dev/null || true
        changed=yes
    done
    if grep -qs '^# pymachine begin' /etc/conf.d/docker; then
        was=$(sed -n 's/^# pymachine begin, file of //p' /etc/conf.d/docker)
        sed '/^# pymachine begin/,/^# pymachine end/d' /etc/conf.d/docker >"$here/conf.d"
        place_file "$here/conf.d" /etc/conf.d/docker 644 || true
        [ -z "$was" ] || { chown "${was% *}" /etc/conf.d/docker && chmod "${was#* }" /etc/conf.d/docker; }
        changed=yes
    fi
    [ "$init" != systemd ] || [ -z "$changed" ] || systemctl daemon-reload
}

restart_once() {
    if [ -z "$changed" ] || [ -z "$unit" ] || ! engine_is_active; then
        restore_config
        return 0
    fi
    step 'restarting the engine as it was'
    [ ! -f "$here/daemon.before.json" ] || switch_live_restore "$here/daemon.before.json"
    if [ -f "$here/daemon.start.json" ]; then
        place_file "$here/daemon.start.json" "$config" 644 || true
    else
        restore_config
    fi
    restart_engine || die 'the engine does not start'
    if [ -f "$here/daemon.start.json" ]; then
        return_live_restore "$here/daemon.start.json"
        restore_config
    fi
}

restore_hostname() {
    [ "$(cat /proc/sys/kernel/hostname)" = node1 ] || return 0
    note 'setting the host name back to bare'
    rm -f /etc/hostname
    set_live_hostname bare
    restore_in_hosts /etc/hosts node1 '' >"$here/hosts" &&
        place_aside "$here/hosts" /etc/hosts 644
}

close_to_clients() {
    if command -v gpasswd >/dev/null 2>&1; then
        gpasswd -d ann docker >/dev/null 2>&1 || true
    else
        delgroup ann docker >/dev/null 2>&1 || true
    fi
    :
}

remove_repository() {
    :
}

# Only packages that were not there before us, and of these only the engine's own.
purge_engine() {
    step 'purging the engine'
    ours=$(grep -E '^(docker|containerd|runc|moby|tini)' "$state/installed" 2>/dev/null | tr '\n' ' ' || true)
    [ -n "$ours" ] || return 0
    end_containers
    [ -z "$unit" ] || ! engine_is_active ||
        if [ "$init" = systemd ]; then systemctl stop "$unit" docker.socket 2>/dev/null; else rc-service "$unit" stop; fi
    # Debian's package would go through all that is in the folder itself, mounts of others too.
    rm -f /usr/share/docker.io/contrib/nuke-graph-directory.sh /var/lib/docker/nuke-graph-directory.sh
    # shellcheck disable=SC2086 # package names
    purge_packages $ours
    rm -rf /run/docker.sock /etc/docker/key.json
    data=/var/lib/docker
    clear_data /var/lib/docker "$engines_own"
    case $data/ in
        "${real:-none}"/*) ;;
        *) clear_data "$data" "$engines_own" ;;
    esac
    case " $ours" in *' containerd'*) clear_data /var/lib/containerd "$containerds_own" ;; esac
    rmdir /etc/docker 2>/dev/null || true
}

trap finish EXIT
trap 'exit 130' HUP INT TERM
find_engine
step 'removing the set-up from the host'
changed=''
check_config
# Nothing follows any more; what is being installed comes to its end first.
[ ! -f "$state/extras.sh" ] || sh "$state/extras.sh" stop
changed=yes
[ ! -d /etc/docker/pymachine ] || changed=yes
remove_units
purge_engine
restore_config
remove_folder /etc/docker/pymachine
rmdir "$(dirname "$config")" 2>/dev/null || true
if [ -f "$state/enabled" ] && [ "$init" = systemd ]; then
    systemctl disable -q "$(cat "$state/enabled")" 2>/dev/null || true
fi
restore_hostname
close_to_clients
remove_repository
find /run/pymachine -mindepth 1 -maxdepth 1 ! -path "$here" -exec rm -rf {} +
remove_folder "$state"
rm -f /run/pymachine.lock
say "done" "removed=yes"
