"""What a shell starts in place of a program: ``python -I -S forkclient.py SOCKET MODULE WORD…``; see forkserver.

It stands for the fork: signals go on to it, and it ends as the fork ended. It is started for each command of a
session, so it imports nothing but what every interpreter has built in or loaded.
"""

import _signal  # type: ignore[import-not-found]  # signal, without the enumerations that it loads
import _socket
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

LARGEST = 1 << 20  # bytes of one message
COLD = b"cold"
# Read by the interpreter, the C library or the dynamic linker while the process starts.
EARLY = (b"PYTHON", b"LC_", b"LANG", b"TZ", b"LD_", b"MALLOC_", b"GLIBC_")
PASSED_ON = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGUSR1, _signal.SIGUSR2)


def ground() -> bytes:
    """Return what an interpreter takes over as it starts and cannot change: variables, limits, ignored signals."""
    early = sorted(b"%b=%b" % pair for pair in os.environb.items() if pair[0].startswith(EARLY))
    with open("/proc/self/limits", "rb") as limits, open("/proc/self/status", "rb") as status:  # noqa: PTH123
        signals = [line for line in status if line.startswith((b"SigIgn", b"SigBlk"))]
        return b"\n".join((*early, limits.read(), *signals))


def packed(words: list[str]) -> bytes:
    """Pack this process's ground, umask, words and variables into one message."""
    umask = os.umask(0)
    os.umask(umask)
    return marshal.dumps((ground(), umask, words, dict(os.environb)))


def unpacked(message: bytes) -> tuple[bytes, int, list[str], dict[bytes, bytes]]:
    """Return ground, umask, words and variables of a client."""
    place, umask, words, variables = marshal.loads(message)
    return place, umask, words, variables


def run(path: str, words: list[str]) -> int | None:
    """Have the words run by the server. Returns the exit code, a negative signal, or None where it has to be cold."""
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    server.connect(path)

    def forward(number: int, _frame: "FrameType | None") -> None:
        server.send(b"%d" % number)

    # Before the fork is there: a signal that comes now waits in the socket.
    message = packed(words)
    files = b"".join(file.to_bytes(4, sys.byteorder) for file in (os.open(".", os.O_PATH), 0, 1, 2))
    before = [(number, _signal.signal(number, forward)) for number in PASSED_ON]
    server.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    answer = server.recv(LARGEST)
    if answer == COLD:
        for number, handler in before:
            _signal.signal(number, handler)
        return None
    return int(answer)


def main() -> None:
    """Run the words, and end as they end."""
    path, module, *words = sys.argv[1:]
    code = run(path, words)
    if code is None:
        os.execv(sys.executable, [sys.executable, "-m", module, *words])
    if code < 0:
        if -code not in (_signal.SIGKILL, _signal.SIGSTOP):
            _signal.signal(-code, _signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main()
