"""Serve a folder over HTTP on one address, in a process of its own: python -I serve.py FOLDER ADDRESS PORT."""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class Handler(SimpleHTTPRequestHandler):
    """Keep connections open, as apt likes; what was requested is in the log."""

    protocol_version = "HTTP/1.1"


def main(folder: str, address: str, port: str) -> None:
    """Serve until ended."""
    with ThreadingHTTPServer((address, int(port)), partial(Handler, directory=folder)) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
