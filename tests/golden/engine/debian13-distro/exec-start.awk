# Reads `systemctl cat UNIT` and prints the ExecStart in force, as written: variables stay unexpanded.
# own: the drop-in to leave out; listen: the socket to add unless its port is there already; protection: the flags
# that go with it.
/^# \// { own_part = ($2 == own); held = ""; next }
own_part { next }
/^[ \t]*[#;]/ { next }
{
    line = held $0
    sub(/^[ \t]+/, "", line)
    if (line ~ /\\$/) {
        held = substr(line, 1, length(line) - 1) " "
        next
    }
    held = ""
    if (line ~ /^ExecStart[ \t]*=/) {
        sub(/^ExecStart[ \t]*=[ \t]*/, "", line)
        command = line
    }
}
END {
    if (command == "") exit 1
    sub(/[ \t]+$/, "", command)
    port = listen
    sub(/.*:/, ":", port)
    # Without any -H dockerd has its unix socket by default; with one of ours it must be named.
    if (listen != "" && command !~ / (-H|--host)/) command = command " -H unix:///var/run/docker.sock"
    if (listen != "" && command !~ ("tcp://[^ ]*" port "( |$)")) command = command " -H " listen
    if (protection != "") command = command " " protection
    print command
}
