"""Serve the test EC2 in a process of its own: python -m lab.ec2.process.

The port is printed as the first line. It ends when its standard input does, so whoever started it cannot leave it.
"""

from __future__ import annotations

import os
import sys
import threading

# Read by moto when it is imported.
os.environ |= {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false", "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "true"}

from moto.moto_server.werkzeug_app import MotoRequestHandler
from typing_extensions import override
from werkzeug.serving import make_server

from lab.ec2.app import StrictEc2


class QuietHandler(MotoRequestHandler):
    """Keeps connections open, and no log of requests: that is asked for over HTTP."""

    protocol_version = "HTTP/1.1"

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve until standard input ends."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    server = make_server("127.0.0.1", 0, StrictEc2(), threaded=True, request_handler=QuietHandler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
