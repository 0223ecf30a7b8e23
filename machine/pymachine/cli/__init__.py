"""The command line; ``main`` is the console script.

Importing this package loads nothing else. Frequent commands are answered without click (``cli.quick``), everything
else by ``cli.root``.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymachine.cli.dependencies import Wiring
    from pymachine.cli.quick_status import Silence

__all__ = ["main"]


def main(argv: "Sequence[str] | None" = None, *, wiring: "Wiring | None" = None) -> int:
    """Run one command line and return its exit code.

    ``argv`` does not include the program's name. ``wiring`` replaces the real network, terminal and drivers.
    """
    import os
    import sys

    if argv is None:
        _collect_less_often()
    open_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        found = _quick_answer(words, os.environ) if wiring is None else None
    except KeyboardInterrupt:
        from pymachine.cli.root import interrupted

        return interrupted()
    if not isinstance(found, str):
        from pymachine.cli.root import run

        return run(words, wiring) if found is None else run(found.words(words), found.wiring())
    if assumption := getattr(found, "note", ""):
        print(assumption, file=sys.stderr)  # noqa: T201
    try:
        sys.stdout.write(found)
        sys.stdout.flush()
    except OSError as error:
        from pymachine.cli.errors import unwritable

        return unwritable(error)
    return 0


def open_streams() -> None:
    """Make the standard streams usable, whatever the caller did with them."""
    import sys

    if None in (sys.stdin, sys.stdout, sys.stderr):
        _open_closed_streams()
    _print_whatever_comes(sys.stdout)


def _open_closed_streams() -> None:
    """Open streams that the caller closed on /dev/null.

    Otherwise the next opened file, e.g. the store, would get their descriptor, and a child process would write into
    it.
    """
    import os
    import sys

    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - stays open
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _quick_answer(words: "list[str]", environ: "Mapping[str, str]") -> "str | Silence | None":
    from pymachine.cli.quick import answer

    try:
        found = answer(words, environ)
    except Exception:  # noqa: BLE001 - the full command line meets the same fault, and can explain it
        return None
    # What a terminal would obey is written out by the full command line.
    return found if not isinstance(found, str) or found.replace("\n", "").isprintable() else None


def _collect_less_often() -> None:
    """Run the garbage collector after 50,000 new objects instead of 700, which saves a sixth of the start-up time.

    What is loaded is kept until the end anyway, and so is a fleet that was read.
    """
    import gc

    gc.set_threshold(50_000, 20, 20)


def _print_whatever_comes(stream: object) -> None:
    """Let names of files that are not UTF-8 leave as the bytes they came in as, and write out, as JSON does, what the
    terminal's encoding does not have: ``\\u2026`` in ISO 8859-1.
    """
    import codecs

    codecs.register_error("pymachine", _in_other_words)
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="pymachine")


def _in_other_words(error: UnicodeError) -> "tuple[bytes, int]":
    assert isinstance(error, UnicodeEncodeError)
    return b"".join(map(_written_out, error.object[error.start : error.end])), error.end


def _written_out(char: str) -> bytes:
    if "\udc80" <= char <= "\udcff":  # it stands for the byte that it ends with (PEP 383)
        return bytes([ord(char) & 0xFF])
    units = char.encode("utf-16-be", "surrogatepass")
    return b"".join(b"\\u" + units[place : place + 2].hex().encode() for place in range(0, len(units), 2))
