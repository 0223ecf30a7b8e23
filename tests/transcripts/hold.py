"""Works on a machine for a minute, without doing anything: python -m transcripts.hold NAME PURPOSE."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from pymachine.store.sqlite import SqliteStore

if __name__ == "__main__":
    name, purpose = sys.argv[1:]
    with SqliteStore.open(Path(os.environ["MACHINE_STORAGE_PATH"])) as store, store.lease(name, purpose):
        Path("held").touch()
        time.sleep(60)
