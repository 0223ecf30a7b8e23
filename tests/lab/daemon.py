"""Start a program that outlives its starter: own session, output to a file, its identity written down.

Run as a plain script (python -I daemon.py PIDFILE LOG PROGRAM ...): it imports nothing of the lab and so starts fast.
The starter gets no child to reap, so a lab that is left running has no half-owned processes.
"""

import json
import os
import sys
from pathlib import Path


def _start_time() -> int:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[19])


def _record(path: str) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    draft = Path(f"{path}.{os.getpid()}")
    draft.write_text(json.dumps({"pid": os.getpid(), "started": _start_time(), "boot": boot}))
    draft.replace(path)


def main(pidfile: str, log: str, *argv: str) -> None:
    """Fork twice, record the last one, become the program."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(status))
    os.setsid()
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, out), (2, out)):
        os.dup2(source, target)
    os.closerange(3, 256)
    ready, told = os.pipe()
    if os.fork():
        os.close(told)
        os._exit(0 if os.read(ready, 1) else 1)
    _record(pidfile)
    os.write(told, b"+")
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main(*sys.argv[1:])
