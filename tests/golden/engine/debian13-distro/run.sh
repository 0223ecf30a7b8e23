#!/bin/sh
# Runs setup.sh beside this file apart from the caller's session, and follows what it prints. If the caller goes
# away (a lost connection, a killed client) the work still comes to its end: a package manager must not be
# cut off half-way. One such piece of work at a time on a host.
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 077
here=$(cd "$(dirname "$0")" && pwd) || exit 1
lock=/run/pymachine.lock

work() {
    take_lock
    sweep
    # The lock must not be inherited: a daemon started by a package would hold it for ever.
    (
        exec 9>&-
        exec sh "$here/setup.sh"
    )
    code=$?
    for file in "$here"/*; do
        case $file in
            */log | */code) ;;
            *) rm -rf "$file" ;;
        esac
    done
    return "$code"
}

# What runs left that were cut off (their number is that of a process that is gone, and the lock is ours now),
# and what clients staged that died before they ran it.
sweep() {
    for other in /run/pymachine/*.*; do
        [ "$other" = "$here" ] || kill -0 "${other##*.}" 2>/dev/null || rm -rf "$other"
    done
    find /run/pymachine -mindepth 1 -maxdepth 1 -mmin +60 ! -path "$here" -exec rm -rf {} +
}

take_lock() {
    tries=0
    while :; do
        exec 9>"$lock"
        if flock -n 9; then
            # Whoever held it before may have removed the file we hold.
            [ ! -e "$lock" ] || return 0
            continue
        fi
        [ "$tries" != 0 ] || echo '@pymachine note waiting for another set-up on this host to end'
        tries=$((tries + 1))
        if [ "$tries" -gt 1800 ]; then
            echo '@pymachine failed waiting for another set-up on this host'
            echo '@pymachine error it did not end within 30 minutes'
            exit 1
        fi
        sleep 1
    done
}

follow() {
    shown=0 code=''
    while [ -z "$code" ]; do
        # Looked at before the log, so that what was printed last is shown as well.
        if [ -s "$here/code" ]; then
            code=$(cat "$here/code")
        elif ! kill -0 "$worker" 2>/dev/null; then
            code=1
        fi
        size=$(wc -c <"$log")
        if [ "$size" -gt "$shown" ]; then
            tail -c "+$((shown + 1))" "$log" | head -c "$((size - shown))" || exit 1
            shown=$size
        fi
        [ -n "$code" ] || sleep 0.1
    done
}

if [ "${1-}" = work ]; then
    work
    code=$?
    echo "$code" >"$here/code.new" && mv "$here/code.new" "$here/code"
    exit "$code"
fi

# Files of one's own: the same set-up may be uploaded again while this one runs.
mv "$here" "$here.$$" || exit 1
here=$here.$$
log=$here/log
: >"$log" || exit 1
if ! command -v flock >/dev/null || ! command -v setsid >/dev/null; then
    echo '@pymachine failed starting'
    echo '@pymachine error flock and setsid (util-linux) are missing on the host'
    exit 1
fi
setsid sh "$here/run.sh" work >"$log" 2>&1 </dev/null &
worker=$!
follow
rm -rf "$here"
rmdir /run/pymachine 2>/dev/null
exit "$code"
