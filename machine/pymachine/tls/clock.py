"""Whether the clocks of two computers agree well enough for certificates. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from pymachine.errors import CheckFailed

TOLERANCE = 300.0  # seconds; certificates are backdated by an hour, but logs and tokens are not


def clock_skew(host_epoch: float, before: float, after: float) -> float:
    """Return by how many seconds a host's clock is ahead (negative: behind).

    The host read its clock between ``before`` and ``after`` of this computer, so any time in between counts as equal.
    """
    return host_epoch - min(max(host_epoch, before), after)


def check_clock(host_epoch: float | None, before: float, after: float) -> None:
    """Raise ``CheckFailed`` if the clocks differ by more than five minutes; None: the host's time is unknown."""
    if host_epoch is None:
        return
    skew = clock_skew(host_epoch, before, after)
    if abs(skew) <= TOLERANCE:
        return
    direction = "ahead of" if skew > 0 else "behind"
    raise CheckFailed(
        f"the host's clock says {_text(host_epoch)}, this computer's {_text(after)}: "
        f"the host is {_span(abs(skew))} {direction} this computer, so it would reject certificates issued here",
        hint=f"if the host is wrong: `timedatectl set-ntp true` there, or `date -u -s '{_text(after)}'`; "
        "if this computer is wrong: the same here",
    )


def _text(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(seconds: float) -> str:
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours" if seconds < 172800 else f"{seconds / 86400:.0f} days"
