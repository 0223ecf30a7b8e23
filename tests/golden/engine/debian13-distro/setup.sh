#!/bin/sh
# Sets up the Docker engine of machine node1. Made by pymachine; safe to run again.
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
# Prints the unit's own command line as found, with our socket added. $1: our drop-in, $2: the socket, $3: the flags that
# protect it. One line of one file has both, so that no moment and no power cut can part them.
command_line() {
    systemctl cat "$unit" | awk -v own="$1" -v listen="$2" -v protection="$3" -f "$here/exec-start.awk"
}

# The command line in force, as systemd has read it.
unit_argv() { systemctl show -p ExecStart --value "$unit" | sed -n 's/.* argv\[\]=\(.*\) ; ignore_errors=.*/\1/p'; }

# check_unit PORT BEFORE: the unit must really have our port, protected: a drop-in that sorts after ours would win. And
# nothing of the command line that was there BEFORE ours may be lost.
check_unit() {
    argv=$(unit_argv)
    case "$argv " in
        *tcp://*:"$1 "*) ;;
        *)
            winner=$(systemctl cat "$unit" | awk '/^# \// { file = $2 } /^ExecStart=/ { last = file } END { print last }')
            die "$winner overrides the command line of $unit, so that it would not listen on port $1" \
                "remove ExecStart from $winner, or rename that file so that it sorts before zz-pymachine.conf"
            ;;
    esac
    case $argv in
        "$2"*) ;;
        *) die "the command line of $unit was read as another one than systemd has: $2" ;;
    esac
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

# fetch URL FILE. No other account sees a URL, which may have a password in it, among the words of a process.
fetch() {
    if command -v curl >/dev/null 2>&1; then
        printf '%s\n' "$1" | sed 's/["\\]/\\&/g; s/.*/url = "&"/' |
            curl -fsSL --proto-redir '=https' --connect-timeout 15 --max-time 120 --retry 2 -o "$2" -K -
    elif command -v wget >/dev/null 2>&1; then
        reads=$(wget --help 2>&1) || true
        case $1 in *://*@* | *\?*) secret=maybe ;; *) secret=no ;; esac
        case $secret:$reads in
            *--input-file*) printf '%s\n' "$1" | wget -q -T 30 -t 2 -O "$2" -i - ;;
            no:*) wget -q -T 30 -t 2 -O "$2" "$1" ;; # BusyBox has it not
            *) die "this host's wget would show other accounts what may be secret in the URL" 'install curl on the host' ;;
        esac
    elif [ -x /usr/lib/apt/apt-helper ]; then
        case $1 in
            *://*@*) die "neither curl nor wget is on the host, and nothing else keeps a password from other accounts" ;;
            *) /usr/lib/apt/apt-helper download-file "$1" "$2" >/dev/null ;;
        esac
    else
        die "neither curl nor wget is on the host" "install one of them and try again"
    fi
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

# newest_match VERSION: reads package versions, newest first; prints the first that is the upstream version wanted.
newest_match() {
    awk -v want="$1" '{
        upstream = $1
        sub(/^[0-9]+:/, "", upstream)
        sub(/[-+~].*/, "", upstream)
        if ($1 == want || upstream == want || index(upstream, want ".") == 1) { print $1; exit }
    }'
}


refresh() {
    note 'refreshing package lists'
    apt_get update || note 'some package lists could not be refreshed'
}

# our_file FOLDER SUFFIX: prints the path of our file there. The names of before are those that Docker's instructions
# give to a file of the user's: only what says that we made it is ours.
our_file() {
    if grep -qs '^# Made by pymachine' "$1/docker$2"; then
        printf '%s\n' "$1/docker$2"
    else
        printf '%s\n' "$1/pymachine-docker$2"
    fi
}

# Refreshes the list of Docker's package source alone.
refresh_docker() {
    ours=$(our_file /etc/apt/sources.list.d .sources)
    [ -f "$ours" ] || return 1
    apt_get update -o Dir::Etc::sourcelist="$ours" -o Dir::Etc::sourceparts=- \
        -o APT::Get::List-Cleanup=0 --error-on=any
}

# Notes in $companions which of them there are; true if the engine is to be had.
companions=''
engine_known() {
    offered=$(known docker.io docker-cli iptables ca-certificates)
    printf '%s\n' "$offered" | grep -qx docker.io || return 1
    companions=$(printf '%s\n' "$offered" | grep -vx docker.io | paste -s -d ' ' -)
}

# Lists that apt fetched within the hour are as good as new ones.
fresh_lists() { [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mmin -60 2>/dev/null | head -n 1)" ]; }

# pin_packages VERSION: the engine's packages come from Docker's source, and in that version if one is given.
pin_packages() {
    [ -f "$here/docker.pref" ] || return 0
    {
        # The first record that fits a version decides.
        [ -z "$1" ] || printf 'Package: docker-ce docker-ce-cli\nPin: version %s\nPin-Priority: 990\n\n' "$1"
        cat "$here/docker.pref"
    } >"$here/docker.pref.ready"
    place_file "$here/docker.pref.ready" "$(our_file /etc/apt/preferences.d '')" 644 || true
}

add_repository() {
    fresh_lists || refresh
    engine_known || refresh
    engine_known ||
        die 'docker.io is in none of the host'"'"'s package sources' \
            'for Ubuntu, is the universe component enabled?'
}

# Prints PACKAGE=VERSION words for what to install; the engine's own packages in the version asked for.
selection() {
    chosen="docker.io "
    chosen="$chosen$companions"
}

install_packages() {
    heal
    add_repository
    selection
    # --no-remove: what is on the host stays, even where two packages exclude each other.
    # shellcheck disable=SC2086 # package names
    apt_get install --no-install-recommends --no-remove $chosen || {
        refresh
        # shellcheck disable=SC2086
        apt_get install --no-install-recommends --no-remove $chosen ||
            die 'the distribution'"'"'s packages could not be installed'
    }
}

here=$(cd "$(dirname "$0")" && pwd)
backup=$state/backup/current
current=starting
config=/etc/docker/daemon.json
hold_back=/run/systemd/system/docker.service.d/zz-pymachine-wait.conf
reload=''

finish() {
    code=$?
    trap - EXIT
    set +e
    release_start
    reload_units
    if [ "$code" != 0 ]; then
        say failed "$current"
        unit_log
        # What an earlier run committed stays: only what is not complete is taken back.
        if [ -f "$backup/entries" ] && [ ! -f "$backup/complete" ]; then
            sh "$state/rollback.sh" || say log 'the former configuration could not be restored completely'
        fi
    fi
    exit "$code"
}

wait_for_cloud_init() {
    command -v cloud-init >/dev/null 2>&1 || return 0
    [ -d /run/cloud-init ] && [ ! -e /run/cloud-init/result.json ] && [ ! -e /run/cloud-init/disabled ] || return 0
    step 'waiting for cloud-init'
    code=0 told=$here/cloud-init.status
    limited 900 cloud-init status --wait --format json >"$told" 2>/dev/null || code=$?
    if [ "$code" != 124 ] && [ "$code" != 143 ] && [ ! -s "$told" ]; then # before 22.4 it knows one format
        code=0
        limited 900 cloud-init status --wait --long >"$told" 2>/dev/null || code=$?
    fi
    if [ "$code" = 124 ] || [ "$code" = 143 ]; then # BusyBox tells of the signal that its timeout sent
        limited 20 cloud-init status --long 2>/dev/null | log_lines
        die 'cloud-init did not end within 15 minutes' 'see cloud-init status --long on the host'
    fi
    # What failed need not be in the engine's way: we are told, and try.
    say cloud-init "$code $(head -c 60000 "$told" | tr '\n' '\037')"
    [ "$code" = 0 ] || grep -aE '^[^[]{1,80}\[(WARNING|ERROR|CRITICAL)\]: ' /var/log/cloud-init.log 2>/dev/null |
        tail -n 8 | cut -c 1-300 | while IFS= read -r line; do say cloud-init-log "$line"; done
    rm -f "$told"
}

log_lines() {
    head -n 12 | cut -c 1-300 | while IFS= read -r line; do [ -z "$line" ] || say log "$line"; done
}

limited() {
    if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift && "$@"; fi
}

# The package would start the engine before it is configured, and we would have to restart it. A condition that
# is not met makes that start a no-op; it lives in /run and is taken away again.
hold_start_back() {
    [ "$init" = systemd ] || return 0
    mkdir -p "${hold_back%/*}"
    printf '[Unit]\nConditionPathExists=/run/pymachine-may-start\n' >"$hold_back"
}

# systemd has to read its units again before the next start; what was put beside them meanwhile is then read as well.
release_start() {
    [ -f "$hold_back" ] || return 0
    rm -f "$hold_back"
    rmdir "${hold_back%/*}" 2>/dev/null || true
    reload=due
}

# A unit that systemd has not loaded yet is read from the disk by its start: then it says that it need not read all units
# again, which takes seconds on a slow host.
reload_units() {
    [ -n "$reload" ] || return 0
    if [ -z "${unit-}" ] || [ "$(systemctl show -p NeedDaemonReload --value "$unit")" != no ]; then
        systemctl daemon-reload
    fi
    reload=''
}

# Two machines may have been planned on this host at the same time; the first one has it.
check_owner() {
    [ -f "$state/manifest.json" ] || return 0
    grep -q '"id": "0123456789abcdef"' "$state/manifest.json" ||
        die "the host belongs to machine $(sed -n 's/^ *"name": "\(.*\)",*$/\1/p' "$state/manifest.json") already"
}

install_engine() {
    if [ -n "$dockerd" ] && [ -n "$unit" ] && [ -f "$state/installed" ] && [ ! -f "$state/packages-before" ]; then
        return 0
    fi
    step 'installing the engine from the distribution'"'"'s packages'
    # From here on the host is this machine's, even if this is cut off.
    mkdir -p "$state"
    chmod 700 "$state"
    [ -f "$state/manifest.json" ] || place_file "$here/recovery.json" "$state/manifest.json" 600
    [ -n "$unit" ] || hold_start_back
    begin_packages packages-before
    install_packages
    end_packages packages-before
    printf '%s\n' procps xz-utils git >"$state/extras"
    release_start
    find_engine
    [ -n "$dockerd" ] || die 'no dockerd was found after the installation'
    [ -n "$unit" ] || die 'no service unit that runs dockerd was found after the installation'
}

# True for an engine that is on its way up as well, as it is for a while after a boot; not for one that fails again and again.
engine_runs() {
    if [ "$init" = systemd ]; then
        case $(systemctl show -p ActiveState -p SubState "$unit" | sort | sed 's/.*=//' | paste -s -d ' ' -) in
            'activating auto-restart'*) return 1 ;;
            'active '* | 'activating '* | 'reloading '*) return 0 ;;
            *) return 1 ;;
        esac
    fi
    engine_is_active
}

# Opens a backup, unless one of a run that was cut off is there: its originals are the ones to go back to.
begin_backup() {
    mkdir -p "$state"
    chmod 700 "$state"
    place_file "$here/rollback.sh" "$state/rollback.sh" 700 || true
    if [ -f "$backup/entries" ] && [ ! -f "$backup/complete" ]; then
        return 0
    fi
    folder=$state/backup/$(date -u +%Y%m%dT%H%M%SZ)-$$
    mkdir -p "$folder/files"
    chmod 700 "$state/backup" "$folder"
    : >"$folder/entries"
    printf '%s\n' "$config" >"$folder/config-path"
    echo 2376 >"$folder/port"
    cp "$here/recovery.json" "$folder/recovery.json"
    ! engine_runs || : >"$folder/was-active"
    ln -sfn "${folder##*/}" "$backup"
    # The last one is what rollback needs; earlier ones would only keep server keys that are out of use.
    find "$state/backup" -mindepth 1 -maxdepth 1 -name '2*' ! -path "$folder" -exec rm -rf {} +
}

# keep TARGET: put what is there into the backup, or note that nothing was.
keep() {
    if grep -qxF -e "kept $1" -e "made $1" "$backup/entries"; then
        return 0
    elif [ -f "$1" ]; then
        mkdir -p "$backup/files$(dirname "$1")"
        cp -p "$1" "$backup/files$1"
        echo "kept $1" >>"$backup/entries"
        flush "$backup/files$1" "$backup/entries" "$backup/config-path" "$backup/port" "$backup/recovery.json"
    else
        echo "made $1" >>"$backup/entries"
    fi
}

# place STAGED TARGET MODE: as place_file, with a backup; notes that the engine has to be restarted.
place() {
    cmp -s "$1" "$2" || : >"$state/restart-needed"
    keep "$2"
    place_file "$1" "$2" "$3" || true
}

# The plan was made from the daemon.json that was there a moment ago, or this very plan was carried out before.
check_config() {
    found=absent
    [ ! -f "$config" ] || found=$(sha256sum <"$config" | sed 's/ .*//')
    case $found in
        absent | 402edb5023d3f342f8aefb44211e1418b5463bba343d556e6917152f2129bfa6) ;;
        *) die "$config was changed during the preparation" 'try again' ;;
    esac
}

name_host() {
    name=node1
    former=$(cat /proc/sys/kernel/hostname)
    if [ "$former" != "$name" ]; then
        note "setting the host name to $name"
        [ -f "$backup/hostname" ] || cat /proc/sys/kernel/hostname >"$backup/hostname"
        set_live_hostname "$name"
    fi
    printf '%s\n' "$name" >"$here/hostname"
    keep /etc/hostname
    place_aside "$here/hostname" /etc/hostname 644
    keep /etc/hosts
    rename_in_hosts "$(if [ -f /etc/hosts ]; then echo /etc/hosts; else echo /dev/null; fi)" "$name" \
        "$(cat "$backup/hostname" 2>/dev/null || echo "$former")" >"$here/hosts"
    place_aside "$here/hosts" /etc/hosts 644
}

# The authorities that other stores appended stay, for as long as ours is the same.
keep_attached() {
    list=/etc/docker/pymachine/ca.pem
    [ -f "$list" ] || return 0
    sed '/^# BEGIN pymachine attach /,/^# END pymachine attach /d' "$list" >"$here/ca.own"
    ! cmp -s "$here/ca.own" "$here/ca.pem" || cp "$list" "$here/ca.pem"
}

place_certificates() {
    keep_attached
    [ -d /etc/docker/pymachine ] || echo "folder /etc/docker/pymachine" >>"$backup/entries"
    mkdir -p /etc/docker/pymachine
    chmod 700 /etc/docker/pymachine
    place "$here/ca.pem" /etc/docker/pymachine/ca.pem 600
    place "$here/server.pem" /etc/docker/pymachine/server.pem 600
    place "$here/server-key.pem" /etc/docker/pymachine/server-key.pem 600
}

# The daemon's variables may be secret, and systemd tells everybody what stands in a unit: they have a file of root's. It
# is there before anything names it, and goes after that.
place_environment() {
    :
}

drop_environment() {
    [ -f /etc/docker/pymachine/environment ] || return 0
    keep /etc/docker/pymachine/environment
    : >"$state/restart-needed"
    rm -f /etc/docker/pymachine/environment
}

# The unit's own command line as found, with our socket added; the last of all drop-ins by its name.
place_unit() {
    drop_in=/etc/systemd/system/$unit.d/zz-pymachine.conf
    argv_before=''
    [ -f "$drop_in" ] || argv_before=$(unit_argv)
    command=$(command_line "$drop_in" 'tcp://[::]:2376' '--tlsverify --tlscacert=/etc/docker/pymachine/ca.pem --tlscert=/etc/docker/pymachine/server.pem --tlskey=/etc/docker/pymachine/server-key.pem') ||
        die "the command line of $unit cannot be read"
    {
        echo '# Made by pymachine; removed with the machine.'
        echo '[Service]'
        printf 'ExecStart=\nExecStart=%s\n' "$command"
    } >"$here/drop-in"
    if ! cmp -s "$here/drop-in" "$drop_in"; then
        [ -d "${drop_in%/*}" ] || new_folder=${drop_in%/*}
        place "$here/drop-in" "$drop_in" 644
        chmod 644 "$drop_in" # one of an older pymachine had the variables, and was private
        [ -z "${new_folder-}" ] || echo "folder $new_folder" >>"$backup/entries"
        # A set-up of an older pymachine has the protection in daemon.json: it must not go before this is on the disk.
        ! grep -qs '"tlsverify"' "$config" || sync
        reload=due
    fi
    reload_units
    check_unit 2376 "$argv_before"
}

# dockerd from 23.0 on can check its configuration without starting. At a first boot there is none to go back to, and
# the start itself tells as much a moment later.
validate() {
    "$dockerd" --validate --config-file "$here/daemon.json" >"$here/verdict" 2>&1 && return 0
    ! grep -q 'unknown flag: --validate' "$here/verdict" || return 0
    tail -n 5 "$here/verdict" | while IFS= read -r line; do say log "$line"; done
    die 'the engine refuses this configuration' 'correct or omit the option that it names'
}

configure() {
    step 'configuring the engine'
    begin_backup
    check_config
    keep "$state/manifest.json"
    place_file "$here/manifest.json" "$state/manifest.json" 600 || true
    place_certificates
    validate
    place_environment
    place_unit
    drop_environment
    name_host
}

# True if the engine runs with exactly what it would be given.
settled() {
    engine_is_active && [ ! -f "$state/restart-needed" ] && listening 2376 &&
        cmp -s "$here/daemon.json" "$config"
}

start() {
    if settled; then
        note 'the engine has everything already; it is not restarted'
        restarted=no
        return 0
    fi
    step 'starting the engine'
    keep "$config"
    place "$here/daemon.json" "$config" 644
    : >"$backup/restarted"
    enable_engine
    restart_engine || die "the engine does not start"
    wait_for_port 2376
    rm -f "$state/restart-needed"
    restarted=yes
}

enable_engine() {
    if [ "$init" = systemd ]; then
        ! systemctl is-enabled -q "$unit" 2>/dev/null || return 0
        [ -f "$state/installed" ] || echo "$unit" >"$state/enabled"
        aside "unit $unit will not start at boot" systemctl enable -q --no-reload "$unit"
    else
        aside "$unit will not start at boot" rc-update -q add "$unit" default
    fi
}

open_to_clients() {
    if ! id -nG ann | tr ' ' '\n' | grep -qx docker; then
        note 'putting ann into group docker'
        add_member() {
            if command -v usermod >/dev/null 2>&1; then usermod -aG docker "$1"; else addgroup "$1" docker; fi
        }
        aside 'ann is not put into group docker, and needs sudo for the engine' \
            add_member ann
    fi
    :
}

# What follows the engine is on record in $state/extras until it is there; a set-up that finds it begins it again.
begin_extras() {
    [ -s "$state/extras" ] || return 0
    place_aside "$here/extras.sh" "$state/extras.sh" 700
    note "packages that follow in the background: $(paste -s -d ' ' "$state/extras")"
    sh "$state/extras.sh" arm || note 'they could not be installed; the next set-up tries again'
}

trap finish EXIT
trap 'exit 130' HUP INT TERM
wait_for_cloud_init
find_engine
check_owner
[ "$init" = systemd ] || die "the host's services are run by $init"
install_engine
configure
start
open_to_clients
: >"$backup/complete"
begin_extras
say "done" "unit=$unit restarted=$restarted"
