"""The version that docker-machine's callers are told."""

from pymachine import __version__

EMULATED = "0.16.2"
VERSION_LINE = f"docker-machine version {EMULATED}, build pymachine-{__version__}"
