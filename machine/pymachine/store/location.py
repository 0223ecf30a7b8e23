"""The location of the store, from the environment alone. Fast to import, because ``pymachine env`` uses it."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def default_location(environ: "Mapping[str, str]") -> str:
    """Return the absolute path of the store's folder; empty variables count as unset.

    ``MACHINE_STORAGE_PATH``, else ``$XDG_STATE_HOME/pymachine``, else ``~/.local/state/pymachine``. A relative
    ``XDG_STATE_HOME`` is ignored, as the XDG base directory specification asks. Raises ``StoreError`` without a home.
    """
    own = environ.get("MACHINE_STORAGE_PATH")
    if own:
        return os.path.abspath(own)  # noqa: PTH100 - pathlib would cost half the run time of `pymachine env`
    state = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(state):  # noqa: PTH117
        return f"{state}/pymachine"
    home = environ.get("HOME", "")
    if os.path.isabs(home):  # noqa: PTH117
        return f"{home}/.local/state/pymachine"
    raise _homeless()


def _homeless() -> Exception:
    from pymachine.errors import StoreError

    return StoreError(
        "no folder for the machine store: HOME is not set",
        hint="set HOME or MACHINE_STORAGE_PATH",
    )
