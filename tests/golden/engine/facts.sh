# Prints what the set-up needs to know of this host: one fact a line, as "name base64".
# Changes nothing. $1: base of Docker's package repository to probe, or nothing. $2: the engine's port.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin
LC_ALL=C
export PATH LC_ALL
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
set -u
repo=${1-} port=${2:-2376}

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
# Engines and users of containers beside the engine that systemd or OpenRC runs: "kind detail", one a line.
neighbours() {
    if [ -d /var/snap/docker ] || [ -e /snap/bin/docker ] || bounded snap list docker >/dev/null 2>&1; then
        echo 'snap the package'
    fi
    other_daemons
    other_shims
    case $(bounded docker --version 2>/dev/null) in *[Pp]odman*) echo "podman $(command -v docker)" ;; esac
    other_socket
} 2>/dev/null

other_daemons() {
    for daemon in $(dockerds); do
        runs_in=$(unit_of "$daemon")
        [ "$daemon" != "$pid" ] || continue
        [ -z "$unit" ] || [ "$runs_in" != "$unit" ] || continue
        case $runs_in in snap.*) echo "snap $runs_in" && continue ;; esac
        if awk '$1 == "Uid:" { exit $2 == 0 }' "/proc/$daemon/status"; then kind=rootless; else kind=loose; fi
        echo "$kind process $daemon${runs_in:+ of $runs_in}"
    done
}

# The namespaces in which containerd keeps containers for others than our engine; and ours, whose engine may be down.
other_shims() {
    for process in /proc/[0-9]*; do
        { read -r comm <"$process/comm"; } || continue
        case $comm in containerd-shim*) ;; *) continue ;; esac
        [ "$(readlink "$process/ns/pid")" = "$(readlink /proc/self/ns/pid)" ] || continue
        awk '$1 == "Uid:" { exit $2 != 0 }' "$process/status" || continue
        tr '\0' '\n' <"$process/cmdline" | awk '
            last == "-namespace" { space = $0 }
            last == "-address" { address = $0 }
            { last = $0 }
            END { if (space != "") print "shim", space, address }'
    done | sort | uniq -c | awk '{ print $2, $3, $4, $1 }'
}

# Who listens where docker's clients look, where no dockerd runs and systemd does not hold the socket for one.
other_socket() {
    [ -z "$(dockerds)" ] || return 0
    [ "$init" != systemd ] || ! systemctl is-active -q docker.socket || return 0
    for place in /run/docker.sock /var/run/docker.sock; do
        [ -S "$place" ] || continue
        real=$(readlink -f "$place")
        answer=$(ask "$place" /version 'docker version') || is_listened_at "$place" || is_listened_at "$real" || continue
        case $answer in *[Pp]odman*) by=podman ;; *) by='a program other than dockerd' ;; esac
        echo "socket $by, at $real"
        return 0
    done
}

is_listened_at() { awk -v path="$1" '$4 == "00010000" && $8 == path { found = 1 } END { exit !found }' /proc/net/unix; }

# What systemd has of the units that an engine consists of: "unit load-state active-state"; nothing where it does not answer.
unit_states() {
    [ "$init" = systemd ] || return 0
    systemctl show -p Id -p LoadState -p ActiveState docker.service docker.socket containerd.service ${unit:+"$unit"} 2>/dev/null |
        awk -F= '{ got[$1] = $2 }
            /^$/ { print got["Id"], got["LoadState"], got["ActiveState"] }
            END { print got["Id"], got["LoadState"], got["ActiveState"] }' | sort -u
}
# How the host's firewalls stand to the engine's port: "key value", one a line. A key without a value could not be asked.
firewall() {
    if command -v firewall-cmd >/dev/null 2>&1; then firewalld; fi
    if command -v ufw >/dev/null 2>&1; then ufw_state; fi
}

firewalld() {
    bounded firewall-cmd -q --state >/dev/null 2>&1
    case $? in
        0) echo 'firewalld running' ;;
        252) return 0 ;;
        *) echo 'firewalld' && return 0 ;;
    esac
    interface=$(carrier)
    echo "interface $interface"
    zone=$(zone_of "$interface")
    echo "zone $zone"
    [ -z "$zone" ] || ! is_open || echo 'open yes'
}

# An interface that nobody put into a zone is in the default one: that is the answer 2. Any other one says nothing.
zone_of() {
    [ -n "$1" ] || return 0
    bounded firewall-cmd "--get-zone-of-interface=$1" 2>/dev/null
    [ $? != 2 ] || bounded firewall-cmd --get-default-zone 2>/dev/null
}

is_open() {
    bounded firewall-cmd -q "--zone=$zone" "--query-port=$port/tcp" >/dev/null 2>&1 &&
        bounded firewall-cmd -q --permanent "--zone=$zone" "--query-port=$port/tcp" >/dev/null 2>&1
}

# The interface by which this session came: its own environment, or that of the shell which ran sudo, knows the address.
# Else the one that leads out.
carrier() {
    process=$$ came=''
    while [ -z "$came" ] && [ "${process:-0}" -gt 1 ]; do
        came=$(tr '\0' '\n' <"/proc/$process/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=[^ ]* [^ ]* \([^ %]*\).*/\1/p')
        process=$(awk '$1 == "PPid:" { print $2 }' "/proc/$process/status" 2>/dev/null)
    done
    came=${came#::ffff:}
    found=''
    [ -z "$came" ] || found=$(ip -o addr show 2>/dev/null | awk -v address="$came" '
        { split($4, part, "/") } part[1] == address { sub(/@.*/, "", $2); print $2; exit }')
    [ -n "$found" ] || found=$(ip route show default 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
    [ -n "$found" ] || found=$(ip -6 route show default 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
    echo "$found"
}

# What ufw says; an allowance of the port counts for any source.
ufw_state() {
    status=$(bounded ufw status 2>/dev/null) || { echo 'ufw' && return 0; }
    case $status in
        *inactive*) return 0 ;;
        *'Status: active'*) ;;
        *) echo 'ufw' && return 0 ;;
    esac
    if printf '%s\n' "$status" | grep -Eq "^$port(/tcp)? .*ALLOW"; then echo 'ufw allows'; else echo 'ufw active'; fi
}
# obstacles PATH…: prints a line "PATH<tab>WHY<tab>WHERE" for each that could not be replaced, or made, with all that it
# has. Nothing is tried out. WHY is a word of pymachine.engine.obstacles.
obstacles() {
    checked=''
    for path; do
        why='' where=''
        if [ -e "$path" ] || [ -L "$path" ]; then obstacle_at "$path"; else obstacle_below "${path%/*}"; fi
        [ -z "$why" ] || printf '%s\t%s\t%s\n' "$path" "$why" "$where"
    done
}

# obstacle_at PATH: sets why and where if what is there cannot be replaced.
obstacle_at() {
    where=$1
    if [ ! -e "$1" ]; then
        why=dangling
        return
    fi
    where=$(readlink -f "$1")
    find_mount "$where"
    if [ ! -f "$where" ]; then
        why=no-file
    elif [ "$point" = "$where" ]; then
        why=mounted
    elif [ "$(stat -c %h "$where")" != 1 ]; then
        why=hard-linked
    else
        is_changeable "$where" && obstacle_below "${where%/*}"
    fi
}

# obstacle_below FOLDER: the same for a file that is to be made in there, and for the folders on the way to it.
obstacle_below() {
    where=${1:-/}
    if [ -L "$where" ] && [ ! -e "$where" ]; then
        why=dangling
    elif [ ! -e "$where" ]; then
        obstacle_below "${where%/*}"
    elif [ ! -d "$where" ]; then
        why=no-folder
    elif [ "$where" != "$checked" ]; then
        # The folder of the path before is not asked for again.
        real=$(readlink -f "$where")
        find_mount "$real"
        ! is_changeable "$real" || checked=$where
    fi
}

# is_changeable PATH: else why is set. Its mount is that of find_mount.
is_changeable() {
    flags=$(lsattr -d "$1" 2>/dev/null)
    case ${flags%% *} in
        *[ai]*) why=immutable ;;
        *) if [ "$mode" = ro ]; then why=read-only; elif [ ! -w "$1" ]; then why=denied; fi ;;
    esac
    [ -z "$why" ]
}

# find_mount PATH: sets point, where the file system of PATH is mounted, and mode, rw or ro.
find_mount() {
    point='' mode=rw
    while read -r how at; do
        case $1/ in
            "${at%/}"/*) case $at in "${point%/}"*) point=$at mode=$how ;; esac ;;
        esac
    done <<END
$mounts
END
}

# The kernel writes the blanks in a name as octal numbers.
mounts=$(awk '{
    gsub(/\\040/, " ", $5); gsub(/\\011/, "\t", $5); gsub(/\\134/, "\\", $5)
    print (("," $6 "," $NF ",") ~ /,ro,/ ? "ro" : "rw"), $5
}' /proc/self/mountinfo)

# Where packages of Docker's come from by a source that is not ours, as the package manager has it: what it has not
# in use does not count. "fault TEXT" where it cannot say. Passwords are left out.
docker_sources() {
    if command -v apt-get >/dev/null 2>&1; then
        apt_sources
    elif command -v dnf >/dev/null 2>&1; then
        rpm_sources dnf
    elif command -v yum >/dev/null 2>&1; then
        rpm_sources yum
    fi | sed 's|://[^/@]*@|://|' | sort -u
}

apt_sources() {
    parts=/etc/apt/sources.list.d others=''
    if grep -qs '^# Made by pymachine' "$parts"/*.sources; then
        others=$(mktemp -d) || {
            echo "fault there is no room for a folder in ${TMPDIR:-/tmp}"
            return
        }
        for path in "$parts"/*; do
            grep -qs '^# Made by pymachine' "$path" || ln -s "$path" "$others"
        done
        parts=$others
    fi
    # What an update would fetch, without fetching it. It ends badly for a way to fetch that is not installed, too.
    said=$(bounded apt-get -q update --print-uris -o Dir::Etc::sourceparts="$parts" 2>&1)
    case $said in
        *'E: The list of sources could not be read'*) printf '%s\n' "$said" | sed -n 's/^E: /fault /p' | head -n 1 ;;
        *)
            printf '%s\n' "$said" | sed -n "s|^'\(.*\)/dists/.*/binary-$(dpkg --print-architecture)/Packages.*|\1|p" |
                grep -E '://download\.docker\.com(/|$)|/docker-ce(/|$)|/linux/(debian|ubuntu|raspbian)$'
            ;;
    esac
    [ -z "$others" ] || rm -rf "$others"
}

# $1: dnf or yum. Of the sections that its files have, those that it says are enabled.
rpm_sources() {
    enabled=$(bounded "$1" -q -C repolist 2>/dev/null) || return
    enabled=$enabled awk '
        BEGIN {
            rows = split(ENVIRON["enabled"], row, "\n")
            for (n = 1; n <= rows; n++) {
                split(row[n], word, " ")
                sub(/^[!*]/, "", word[1])
                sub(/\/.*/, "", word[1])
                on[word[1]]
            }
        }
        /^\[/ { id = substr($0, 2, index($0, "]") - 2) }
        /^(baseurl|metalink|mirrorlist)[ \t]*=/ && (id in on) && id !~ /^pymachine-/ && /download\.docker\.com|docker-ce/ {
            sub(/^[a-z]*[ \t]*=[ \t]*/, "")
            print
        }' /etc/yum.repos.d/*.repo 2>/dev/null
}

fact() {
    printf '%s ' "$1"
    base64 | tr -d '\n'
    echo
}

value() { printf '%s' "$2" | fact "$1"; }

file() { [ ! -f "$2" ] || fact "$1" <"$2"; }

# Whoever listens knows a host that waits from one that hangs.
still_waiting() { [ $((tries % 5)) != 0 ] || echo '@pymachine waiting'; }

# A set-up that is still running (its client may be gone) ends first, else these facts would be half-true.
wait_for_set_up() {
    [ -e /run/pymachine.lock ] && command -v flock >/dev/null 2>&1 || return 0
    exec 9</run/pymachine.lock
    tries=0
    until flock -s -n 9; do
        [ "$tries" != 0 ] || echo '@pymachine note waiting for another set-up on this host to end'
        tries=$((tries + 1))
        [ "$tries" -lt 900 ] || break
        still_waiting
        sleep 1
    done
    exec 9<&-
}

system_facts() {
    release=/etc/os-release
    [ -f "$release" ] || release=/usr/lib/os-release
    file os_release "$release"
    os_fields "$release" | fact os_fields
    file debian_version /etc/debian_version
    value arch "$(dpkg --print-architecture 2>/dev/null || uname -m)"
    value kernel "$(uname -r)"
    value init "$init"
    value hostname "$(cat /proc/sys/kernel/hostname)"
    file etc_hosts /etc/hosts
    file etc_hostname /etc/hostname
    value uid "$(id -u)"
    value user "${SUDO_USER:-${DOAS_USER:-$(id -un)}}"
    value apparmor "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)"
    ip -o addr show scope global 2>/dev/null | fact addresses
    ip -json -d addr show 2>/dev/null | fact links
    ip route show default 2>/dev/null | fact default_routes
    file ipv6 /proc/net/if_inet6
    for path in / /usr /var /var/lib /var/lib/docker /etc /run /tmp; do
        [ ! -d "$path" ] || df -Pk "$path" 2>/dev/null | awk -v path="$path" 'NR == 2 { print path, $4 }'
    done | fact free
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" { sub(/.*:/, "", $2); print $2 }' | fact listening
    ss -Hltnp 2>/dev/null | fact listeners
    for tool in apt-get dnf yum zypper pacman apk curl wget gpg flock setsid timeout docker podman \
        apparmor_parser firewall-cmd hostnamectl ufw; do
        ! command -v "$tool" >/dev/null 2>&1 || echo "$tool"
    done | fact tools
    cloud_init | fact cloud_init
    firewall | fact firewall
    # shellcheck disable=SC2086 # the user may have no such group
    id -nG "${SUDO_USER:-${DOAS_USER:-$(id -un)}}" 2>/dev/null | fact groups
    docker_group | fact docker_group
    package_facts
    file manifest /var/lib/pymachine/manifest.json
    file installed /var/lib/pymachine/installed
    [ ! -s /var/lib/pymachine/extras ] || extras_have_their_way || file extras /var/lib/pymachine/extras
}

# What a shell reads in os-release, whose values may be quoted in every way that a shell knows. It finds no program there.
os_fields() {
    [ -f "$1" ] || return 0
    # shellcheck disable=SC2016 # for the other shell
    bounded env -i PATH=/nonexistent /bin/sh -c '
        . "$1" >&2
        printf "%s\n" "ID=${ID-}" "ID_LIKE=${ID_LIKE-}" "VERSION_ID=${VERSION_ID-}" "NAME=${NAME-}" \
            "VERSION_CODENAME=${VERSION_CODENAME-}" "UBUNTU_CODENAME=${UBUNTU_CODENAME-}" \
            "DEBIAN_CODENAME=${DEBIAN_CODENAME-}" "PRETTY_NAME=${PRETTY_NAME-}"' sh "$1" 2>/dev/null </dev/null
}

# True while what follows the engine comes by itself; or it failed: the next set-up tries again, but asks for none.
extras_have_their_way() {
    [ -e /var/lib/pymachine/extras-failed ] || systemctl is-active -q pymachine-extras.timer ||
        systemctl is-active -q pymachine-extras.service
} 2>/dev/null

# Whether there is such a group; nothing where that cannot be asked.
docker_group() {
    ! getent group docker >/dev/null 2>&1 || echo yes
    getent group docker >/dev/null 2>&1 || [ $? != 2 ] || echo no
}

package_facts() {
    if command -v dpkg-query >/dev/null 2>&1; then
        # shellcheck disable=SC2016 # a format of dpkg-query; its second letter is the state, the third a broken package
        dpkg-query -W -f '${db:Status-Abbrev}|${Package}\n' 2>/dev/null |
            awk -F '|' '$1 ~ /^.[HUFWt]/ || $1 ~ /^..R/ { print $2 }' | fact half_configured
    fi
    docker_sources | fact docker_sources
}

cloud_init() {
    if ! command -v cloud-init >/dev/null 2>&1 || [ -e /etc/cloud/cloud-init.disabled ]; then
        echo absent
    elif [ -e /run/cloud-init/result.json ] || [ -e /run/cloud-init/disabled ]; then
        echo ended
    elif [ -d /run/cloud-init ]; then
        echo running
    else
        echo absent
    fi
}

engine_facts() {
    [ -n "$unit$dockerd" ] || return 0
    value dockerd "$dockerd"
    value unit "$unit"
    [ -z "$dockerd" ] || value dockerd_version "$(bounded "$dockerd" --version 2>/dev/null)"
    owned=''
    [ -z "$dockerd" ] || owned=$(owner "$dockerd")
    package=${owned%% *}
    value package "$owned"
    [ -z "${package-}" ] || ! command -v apt-cache >/dev/null 2>&1 ||
        apt-cache madison "$package" 2>/dev/null | awk '{ print $3 }' | head -n 20 | fact offered
    [ "$init" != systemd ] || [ -z "$unit" ] || unit_facts
    [ "$init" != openrc ] || openrc_facts
    running_facts
}

# The package that owns a file, and its version.
owner() {
    if command -v dpkg-query >/dev/null 2>&1; then
        package=$(dpkg-query -S "$(readlink -f "$1")" 2>/dev/null | sed -n '1s/[:,].*//p')
        [ -z "$package" ] || dpkg-query -W -f '${Package} ${Version}\n' "$package"
    elif command -v rpm >/dev/null 2>&1; then
        rpm -qf --qf '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' "$1" 2>/dev/null | grep -v 'not owned'
    elif command -v pacman >/dev/null 2>&1; then
        pacman -Qo "$1" 2>/dev/null | sed 's/.* owned by //'
    elif command -v apk >/dev/null 2>&1; then
        apk info -W "$1" 2>/dev/null | sed -n 's/.* owned by \(.*\)-\([0-9][^-]*-r[0-9]*\)$/\1 \2/p'
    fi
}

unit_facts() {
    wait_for_start
    pid=$(engine_pid)
    systemctl show "$unit" -p ActiveState -p MainPID -p FragmentPath -p DropInPaths -p Requires | fact unit_properties
    systemctl cat "$unit" 2>/dev/null | fact unit_text
    custom=$(systemctl show "$unit" -p ExecStart --value | sed -n 's/.* argv\[\]=\(.*\) ; ignore_errors=.*/\1/p' | tr ' ' '\n' | config_of)
    # A variable may name it: the process itself has the word.
    [ -n "$custom" ] || [ "${pid:-0}" = 0 ] || custom=$(tr '\0' '\n' <"/proc/$pid/cmdline" | config_of) 2>/dev/null
    config=${custom:-$config}
    systemctl cat "$unit" 2>/dev/null | sed -n 's/^EnvironmentFile=-\{0,1\}//p' | while read -r path; do
        cat "$path" 2>/dev/null
        echo
    done | fact unit_environment
    socket_units | fact socket_units
}

# An engine that is just starting can be asked in a moment.
wait_for_start() {
    tries=0
    until systemctl show "$unit" -p ActiveState -p MainPID | awk -F= '
        $1 == "MainPID" { running = $2 != 0 }
        $1 == "ActiveState" { starting = $2 == "activating" }
        END { exit running && starting }'; do
        tries=$((tries + 1))
        [ "$tries" -lt 60 ] || break
        still_waiting
        sleep 1
    done
}

# What systemd opens for the engine: "unit address (kind)".
socket_units() {
    for socket in $(systemctl show "$unit" -p TriggeredBy | sed 's/^[^=]*=//'); do
        case $socket in *.socket) ;; *) continue ;; esac
        systemctl show "$socket" -p Listen | sed -n "s/^Listen=/$socket /p"
    done
}

# The configuration file among the words of a dockerd, one a line.
config_of() { value_of --config-file; }

# value_of FLAG: its last value among such words.
value_of() {
    awk -v flag="$1" '
        last == flag { found = $0 }
        index($0, flag "=") == 1 { found = substr($0, length(flag) + 2) }
        { last = $0 }
        END { print found }'
}

openrc_facts() {
    rc-service docker status >/dev/null 2>&1 && value openrc_active yes
    file conf_d /etc/conf.d/docker
    pid=$(engine_pid)
}

# What the running engine says of itself.
running_facts() {
    [ "${pid:-0}" != 0 ] && [ -r "/proc/$pid/cmdline" ] || return 0
    fact cmdline <"/proc/$pid/cmdline"
    trusted=$(tr '\0' '\n' <"/proc/$pid/cmdline" | value_of --tlscacert)
    [ ! -f "$trusted" ] || head -c 65536 "$trusted" | fact trusted
    sockets_of "$pid" | fact sockets
    ask_for_info "$pid" || return 0
    value socket "$sock"
    value info "$said"
    place=$(place_of "$pid" "$sock")
    rows=$(ask "$place" /containers/json 'docker ps --no-trunc --format {{json .}}' </dev/null 2>/dev/null) &&
        value containers "$rows"
    rows=$(ask "$place" '/networks?filters={"driver":["bridge"]}' </dev/null 2>/dev/null) && value networks "$rows"
}

# Which of the distribution's names Docker's repository knows, tried at once: "distro suite" of each that answers.
probe_repository() {
    [ -z "$unit$dockerd" ] || return 0
    (
        # shellcheck source=/dev/null
        . /etc/os-release
        like=''
        if ! command -v apt-get && { command -v dnf || command -v yum; } then like=centos; fi >/dev/null
        # shellcheck disable=SC2086 # the words of ID_LIKE
        for distro in $(printf '%s\n' ${ID:-} ${ID_LIKE:-} $like | awk '!seen[$0]++'); do
            suite=${VERSION_CODENAME:-}
            case $distro in
                ubuntu) suite=${UBUNTU_CODENAME:-$suite} ;;
                debian) suite=${DEBIAN_CODENAME:-$suite} ;;
                raspbian) distro=debian ;;
            esac
            ( ! reaches "$repo/linux/$distro/dists/$suite/Release" || echo "$distro $suite" ) &
            ( ! reaches "$repo/linux/$distro/docker-ce.repo" || echo "$distro" ) &
        done
        wait
    ) 2>/dev/null
}

reaches() {
    if command -v curl >/dev/null 2>&1; then
        curl -fsSLI -o /dev/null --connect-timeout 2 --max-time 4 "$1"
    elif command -v wget >/dev/null 2>&1; then
        wget -q -T 2 -t 1 -O /dev/null "$1" 2>/dev/null
    elif [ -x /usr/lib/apt/apt-helper ]; then
        to=$(mktemp) || return 1
        /usr/lib/apt/apt-helper -o Acquire::Retries=0 -o Acquire::http::Timeout=2 -o Acquire::https::Timeout=2 \
            download-file "$1" "$to" >/dev/null 2>&1
        code=$?
        rm -f "$to"
        return "$code"
    else
        return 1
    fi
}

# Files that a set-up may write beside those that every host has.
package_targets() {
    ! command -v apt-get >/dev/null 2>&1 || echo /etc/apt/sources.list.d/pymachine-docker.sources /etc/apt/preferences.d/pymachine-docker /etc/apt/keyrings/pymachine-docker.asc
    [ ! -d /etc/yum.repos.d ] || echo /etc/yum.repos.d/pymachine-docker-ce.repo
    [ "$init" != openrc ] || echo /etc/conf.d/docker
}

config=/etc/docker/daemon.json pid=''
wait_for_set_up
find_engine
system_facts
engine_facts
file daemon_json "$config"
value daemon_json_path "$config"
neighbours | fact neighbours
unit_states | fact unit_states
# shellcheck disable=SC2086 # paths of ours
obstacles "$config" /var/lib/pymachine/manifest.json /etc/docker/pymachine/ca.pem /etc/docker/pymachine/server.pem /etc/docker/pymachine/server-key.pem /etc/hosts /etc/hostname $(package_targets) "/etc/systemd/system/${unit:-docker.service}.d/zz-pymachine.conf" \
    "/etc/systemd/system/${unit:-docker.service}.d/10-machine.conf" | fact obstacles
[ -z "$repo" ] || probe_repository | fact repository
value clock "$(date +%s.%N)"
value complete yes
exit 0
