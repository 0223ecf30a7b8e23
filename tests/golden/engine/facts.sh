# Prints what the set-up needs to know of this host: one fact a line, as "name base64".
# Changes nothing. $1: base of Docker's package repository to probe, or nothing.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin
LC_ALL=C
export PATH LC_ALL
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
set -u
repo=${1-}

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

find_systemd_unit() {
    units=$(grep -lsE '^ExecStart=[^#]*/dockerd[^/[:space:]]*([[:space:]]|$)' \
        /etc/systemd/system/*.service /run/systemd/system/*.service \
        /usr/local/lib/systemd/system/*.service /usr/lib/systemd/system/*.service \
        /lib/systemd/system/*.service | sed 's|.*/||' | sort -u || true)
    case $units in
        *docker.service*) unit=docker.service ;;
        *) unit=$(printf '%s\n' "$units" | head -n 1) ;;
    esac
}

fact() {
    printf '%s ' "$1"
    base64 | tr -d '\n'
    echo
}

value() { printf '%s' "$2" | fact "$1"; }

file() { [ ! -f "$2" ] || fact "$1" <"$2"; }

# A set-up that is still running (its client may be gone) ends first, else these facts would be half-true.
wait_for_set_up() {
    [ -e /run/pymachine.lock ] && command -v flock >/dev/null 2>&1 || return 0
    exec 9</run/pymachine.lock
    tries=0
    until flock -s -n 9; do
        [ "$tries" != 0 ] || echo '@pymachine note waiting for another set-up on this host to end'
        tries=$((tries + 1))
        [ "$tries" -lt 900 ] || break
        sleep 1
    done
    exec 9<&-
}

system_facts() {
    if [ -f /etc/os-release ]; then file os_release /etc/os-release; else file os_release /usr/lib/os-release; fi
    file debian_version /etc/debian_version
    value arch "$(dpkg --print-architecture 2>/dev/null || uname -m)"
    value kernel "$(uname -r)"
    value init "$init"
    value hostname "$(cat /proc/sys/kernel/hostname)"
    file etc_hosts /etc/hosts
    value uid "$(id -u)"
    value user "${SUDO_USER:-${DOAS_USER:-$(id -un)}}"
    value apparmor "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)"
    ip -o addr show scope global 2>/dev/null | fact addresses
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
    firewall-cmd --state 2>/dev/null | fact firewalld
    grep -s '^ENABLED=' /etc/ufw/ufw.conf | fact ufw
    # shellcheck disable=SC2086 # the user may have no such group
    id -nG "${SUDO_USER:-${DOAS_USER:-$(id -un)}}" 2>/dev/null | fact groups
    grep -rlsE 'download\.docker\.com|docker-ce' /etc/apt/sources.list /etc/apt/sources.list.d /etc/yum.repos.d \
        2>/dev/null | fact docker_sources
    grep -rhsE 'Signed-By|signed-by' /etc/apt/sources.list.d/docker.* 2>/dev/null | fact docker_signed_by
    file manifest /var/lib/pymachine/manifest.json
    file installed /var/lib/pymachine/installed
    [ ! -s /var/lib/pymachine/extras ] || extras_have_their_way || file extras /var/lib/pymachine/extras
}

# True while what follows the engine comes by itself; or it failed: the next set-up tries again, but asks for none.
extras_have_their_way() {
    [ -e /var/lib/pymachine/extras-failed ] || systemctl is-active -q pymachine-extras.timer ||
        systemctl is-active -q pymachine-extras.service
} 2>/dev/null

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
    [ -z "$dockerd" ] || value dockerd_version "$(limited "$dockerd" --version 2>/dev/null)"
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
    systemctl show "$unit" -p ActiveState -p MainPID -p FragmentPath -p DropInPaths | fact unit_properties
    systemctl cat "$unit" 2>/dev/null | fact unit_text
    pid=$(systemctl show "$unit" -p MainPID | sed 's/.*=//')
    custom=$(systemctl show "$unit" -p ExecStart --value | sed -n 's/.* argv\[\]=\(.*\) ; ignore_errors=.*/\1/p' | tr ' ' '\n' | config_of)
    # A variable may name it: the process itself has the word.
    [ -n "$custom" ] || [ "${pid:-0}" = 0 ] || custom=$(tr '\0' '\n' <"/proc/$pid/cmdline" | config_of) 2>/dev/null
    config=${custom:-$config}
    systemctl cat "$unit" 2>/dev/null | sed -n 's/^EnvironmentFile=-\{0,1\}//p' | while read -r path; do
        cat "$path" 2>/dev/null
        echo
    done | fact unit_environment
}

# The configuration file among the words of a dockerd, one a line.
config_of() {
    awk 'last == "--config-file" { found = $0 } /^--config-file=/ { found = substr($0, 15) } { last = $0 } END { print found }'
}

openrc_facts() {
    rc-service docker status >/dev/null 2>&1 && value openrc_active yes
    file conf_d /etc/conf.d/docker
    pid=$(pidof dockerd 2>/dev/null | awk '{ print $1 }')
}

# What the running engine says of itself.
running_facts() {
    [ "${pid:-0}" != 0 ] && [ -r "/proc/$pid/cmdline" ] || return 0
    fact cmdline <"/proc/$pid/cmdline"
    sock=$(tr '\0' '\n' <"/proc/$pid/cmdline" | sed -n 's|^unix://||p; s|^-H=unix://||p; s|^--host=unix://||p' | head -n 1)
    for sock in "$sock" /run/docker.sock /var/run/docker.sock; do
        [ ! -S "$sock" ] || break
    done
    [ -S "$sock" ] || return 0
    value socket "$sock"
    ask /info 'docker info --format {{json .}}' | fact info
    ask /containers/json 'docker ps --no-trunc --format {{json .}}' | fact containers
}

# $1: path of the API; $2: the same through the client, for hosts without curl.
ask() {
    if command -v curl >/dev/null 2>&1; then
        curl -s --noproxy '*' --max-time 5 --unix-socket "$sock" "http://localhost$1"
    elif command -v docker >/dev/null 2>&1; then
        # shellcheck disable=SC2086 # the words of a constant
        limited env DOCKER_HOST="unix://$sock" $2
    fi
}

limited() {
    if command -v timeout >/dev/null 2>&1; then timeout 5 "$@"; else "$@"; fi
}

odd_engines() {
    { [ ! -d /var/snap/docker ] && [ ! -e /snap/bin/docker ]; } || echo snap
    for process in /proc/[0-9]*; do
        read -r name <"$process/comm" || continue
        [ "$name" = dockerd ] || continue
        awk '$1 == "Uid:" && $2 != 0 { print "rootless" }' "$process/status"
    done 2>/dev/null
}

# Which of the distribution's names Docker's repository knows, tried at once: "distro suite" of each that answers.
probe_repository() {
    [ -z "$unit$dockerd" ] || return 0
    (
        # shellcheck source=/dev/null
        . /etc/os-release
        for distro in ${ID:-} ${ID_LIKE:-}; do
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

config=/etc/docker/daemon.json pid=''
wait_for_set_up
find_engine
system_facts
engine_facts
file daemon_json "$config"
value daemon_json_path "$config"
odd_engines | fact odd_engines
[ -z "$repo" ] || probe_repository | fact repository
value clock "$(date +%s.%N)"
value complete yes
exit 0
