"""Every error that pymachine raises on purpose, drawn as one tree.

::

    PymachineError                  1   failed
    ├── UsageFault                  2   the command or an option was wrong
    │   ├── ValueFault              2   a value that an option or key cannot have
    │   └── NameMissing             2   no machine is named, and none stands for it
    ├── CheckFailed                 3   refused before anything was made
    │   └── MachineExists           3
    ├── NoSuchMachine               4
    ├── SeveralFailed               5   some of several machines failed
    ├── CommandMissing              2   a command that a driver adds cannot be loaded
    ├── Interrupted               130   Ctrl-C, or a signal that asks to stop
    ├── StepFailed                  1   a create or provision stopped at a named step
    ├── DriverError                 1
    │   ├── DriverMissing           2   no such driver, or its extra is not installed
    │   └── NotSupported            3   the driver cannot do what was asked
    ├── TransportError              1
    │   ├── Unreachable             1   retryable: nothing answered in time
    │   ├── AuthFailed              1   the host refused our keys
    │   ├── HostKeyMismatch         1   the host shows another key than the pinned one
    │   ├── NoCommonAlgorithm       1   the host's SSH server and ours speak no common cipher, or the like
    │   ├── SudoFailed              1   the account may not become root
    │   └── DeadlineExceeded        1
    ├── RemoteCommandFailed         1   a command on the host ended with a non-zero code
    ├── EngineError                 1   the Docker engine does not run or does not answer as it should
    │   └── QuorumLost              1   a Swarm's managers have no majority: nothing in it can be changed
    ├── TlsError                    1
    └── StoreError                  1
        ├── LeaseHeld               1   somebody else works on this machine now
        ├── Conflict                1   the record changed under us
        └── SchemaTooNew            1

The exit codes are an interface: scripts rely on them.
``plan`` and ``drift`` end with 6, without an error, where something differs.
"""

from __future__ import annotations

from typing import ClassVar


class PymachineError(Exception):
    """An error with an explanation for the user.

    ``message`` says what is wrong and where, in lower case, without a full stop. ``hint`` says what to do about it.
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageFault(PymachineError):
    """The command line, an option or a file given by the user is wrong."""

    exit_code = 2


class ValueFault(UsageFault):
    """A value that cannot be used. What it was given as, a flag or a key of a file, knows the edge, which names it.

    ``value`` is the text that is wrong, None where it is not a text or may be secret. ``problem`` stands behind it:
    "is not a valid URL". ``field`` is the field of ``EngineSpec`` that it is for, empty for a value alone, and
    ``index`` its place in the field's list, None for a single value or the list as a whole.
    """

    def __init__(
        self, value: str | None, problem: str, *, hint: str | None = None, field: str = "", index: int | None = None
    ) -> None:
        self.value = value
        self.problem = problem
        self.field = field
        self.index = index
        super().__init__(self.worded(f"engine option {field}" if field else ""), hint=hint)

    def of(self, field: str, index: int | None = None) -> ValueFault:
        """Return the same of a field, and of a place in its list."""
        return ValueFault(self.value, self.problem, hint=self.hint, field=field, index=index)

    def worded(self, name: str, value: str | None = None) -> str:
        """Return the message with the ``name`` of what the value was given as, and the value as it is to be shown."""
        shown = "" if self.value is None else f"{repr(self.value) if value is None else value} "
        return (f"{name}: " if name else "") + shown + self.problem


class NameMissing(UsageFault):
    """The command line names no machine, and there is none that is meant without a name."""


class CheckFailed(PymachineError):
    """A check refused the request before anything was made or touched."""

    exit_code = 3


class MachineExists(CheckFailed):
    """There is a machine of that ``name`` already."""

    def __init__(self, message: str, *, name: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.name = name


class NoSuchMachine(PymachineError):
    """The store has no machine of these ``names``."""

    exit_code = 4

    def __init__(self, message: str, *, names: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.names = names


class SeveralFailed(PymachineError):
    """Some of several machines failed; ``failures`` maps each of their names to its error."""

    exit_code = 5

    def __init__(self, failures: dict[str, PymachineError]) -> None:
        super().__init__("failed: " + ", ".join(sorted(failures)))
        self.failures = failures


class CommandMissing(PymachineError):
    """A command that an installed package adds cannot be loaded, or two packages claim its name."""

    exit_code = 2


class Interrupted(PymachineError):
    """The user interrupted the command; what was made so far is on record."""

    exit_code = 130


class StepFailed(PymachineError):
    """A step of a create, provision or remove failed; ``step`` is its title, ``cause`` the error within."""

    def __init__(self, step: str, cause: PymachineError, *, hint: str | None = None) -> None:
        super().__init__(f"{step}: {cause.message}", hint=hint or cause.hint)
        self.step = step
        self.cause = cause


class DriverError(PymachineError):
    """An operation of the driver failed."""


class DriverMissing(DriverError):
    """No driver of that name is installed, or a package it needs is missing; ``unknown`` is a name that none has."""

    exit_code = 2

    def __init__(self, message: str, *, unknown: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.unknown = unknown


class NotSupported(DriverError):
    """The driver does not have this capability, e.g. a bare-metal host cannot be powered on over SSH."""

    exit_code = 3


class TransportError(PymachineError):
    """Communication with the host failed."""


class Unreachable(TransportError):
    """Nothing answered at the address in time. Retryable, since a booting host does not answer either."""

    retryable = True


class AuthFailed(TransportError):
    """The host refused every key that was offered, or no key could be used."""


class HostKeyMismatch(TransportError):
    """The host shows another SSH key than the one on record. Never retried."""


class NoCommonAlgorithm(TransportError):
    """The host's SSH server offers none of our ciphers, key exchanges, host keys or authentication codes."""


class SudoFailed(TransportError):
    """The login account cannot run commands as root."""


class DeadlineExceeded(TransportError):
    """A command or transfer did not end within its time limit."""


class RemoteCommandFailed(PymachineError):
    """A command on the host ended with a non-zero code.

    ``command`` is already masked; ``lines`` are the last lines of its output.
    """

    def __init__(self, command: str, exit_code: int, lines: tuple[str, ...] = (), *, hint: str | None = None) -> None:
        text = f"`{command}` exited with code {exit_code}"
        super().__init__("\n  ".join((text, *lines)), hint=hint)
        self.command = command
        self.remote_exit_code = exit_code
        self.lines = lines


class EngineError(PymachineError):
    """The Docker engine on the host does not run, or gives a wrong answer."""


class QuorumLost(EngineError):
    """The managers of a Swarm have no majority: services continue to run, but nothing can be changed."""


class TlsError(PymachineError):
    """A certificate or key cannot be used, or the engine's certificate is not the one on record."""


class StoreError(PymachineError):
    """The state store cannot be read or written."""


class StoreUnwritable(StoreError):
    """The state store cannot be written: its file system is full or read-only, or it belongs to another user."""


class NoteUnreadable(StoreError):
    """What was stored under a name that is not a machine's is there and cannot be read."""


class LeaseHeld(StoreError):
    """Another process works on this machine; the message says which one, since when and why.

    ``lease`` is its name.
    """

    def __init__(self, message: str, *, hint: str | None = None, lease: str = "") -> None:
        super().__init__(message, hint=hint)
        self.lease = lease


class Conflict(StoreError):
    """The record was changed by another process since it was read."""


class SchemaTooNew(StoreError):
    """The store was written by a newer pymachine; it can be listed but not changed."""


def refuses(error: BaseException) -> bool:
    """Whether an error's exit code says that nothing was made or touched."""
    return isinstance(error, PymachineError) and error.exit_code in (UsageFault.exit_code, CheckFailed.exit_code)


def too_late(error: PymachineError, step: str, hint: str) -> PymachineError:
    """Convert a refusal after something was made to the failure of a step, with a hint.

    Return other errors unchanged.
    """
    if not refuses(error):
        return error
    return StepFailed(step, error, hint="; ".join(filter(None, (error.hint, hint))))
