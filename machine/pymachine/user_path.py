"""Expands paths."""

from __future__ import annotations

import os
from pathlib import Path


def user_path(text: str | Path) -> Path:
    """Return the path with ``~`` and ``~user`` filled in.

    As in a shell, the home of an account that does not exist stays as it is written: there is no such file then.
    """
    if "\0" in str(text):  # not a path: opening it fails
        return Path(text)
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises RuntimeError for ~nobody-here
