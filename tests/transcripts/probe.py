"""Print what a program sees of its surroundings as JSON; end as the first word says."""

from __future__ import annotations

import atexit
import json
import os
import resource
import signal
import stat
import sys
import threading
import time
from pathlib import Path


def surroundings() -> dict[str, object]:
    """Return everything that a program may look at."""
    umask = os.umask(0)
    os.umask(umask)
    status = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Sig")]
    main = sys.modules["__main__"]
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return {
        "argv": sys.argv,
        "cwd": str(Path.cwd()),
        "environ": dict(os.environ),
        "files": sorted(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "handlers": [str(signal.getsignal(number)) for number in (1, 2, 3, 13, 15)],
        "input": sys.stdin.read(),
        "limits": [resource.getrlimit(number) for number in range(16)],
        "main": [main.__name__, main.__spec__ and main.__spec__.name, main.__file__],
        "path": sys.path,
        "signals": [line for line in status if not line.startswith("SigQ")],
        "streams": [[each.encoding, each.errors, each.newlines, each.line_buffering] for each in streams],
        "opened": [[stat.S_IFMT(os.fstat(number).st_mode), os.get_blocking(number)] for number in range(3)],
        "names": [str(each) for each in streams],
        "terminal": [os.isatty(number) for number in range(3)],
        "threads": len(os.listdir("/proc/self/task")),  # noqa: PTH208
        "umask": umask,
    }


def main(how: str, *_: str) -> None:
    """End in one of the ways in which a program ends."""
    if how == "look":
        print(json.dumps(surroundings()))
    elif how == "parent":
        print(os.getppid())
    elif how == "exit":
        print("said", end="")
        sys.exit(41)
    elif how == "message":
        sys.exit("a message")
    elif how == "raise":
        raise RuntimeError("nobody foresaw this")
    elif how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "last":
        atexit.register(print, "the last word")
        threading.Timer(0.2, print, ["a thread's"]).start()
        sys.exit()
    elif how == "full":
        print("x", flush=False)
    elif how == "wait":
        Path("pid").write_text(str(os.getpid()))
        print("waiting", flush=True)
        time.sleep(120)


if __name__ == "__main__":
    main(*sys.argv[1:])
