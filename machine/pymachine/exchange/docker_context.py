"""A machine as ``docker context import`` takes it: a tar with the context's metadata and the client's files.

The form is that of ``docker context export``: ``meta.json`` and ``tls/ENDPOINT/FILE``.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping

from pymachine.model import Endpoint

_ENDPOINT = "docker"


def context_tar(name: str, endpoint: Endpoint, files: Mapping[str, bytes]) -> bytes:
    """Return the archive. ``files`` are ``ca.pem``, ``cert.pem``, ``key.pem``; none for an engine without TLS."""
    meta = {
        "Name": name,
        "Metadata": {"Description": f"pymachine: {name}"},
        "Endpoints": {_ENDPOINT: {"Host": endpoint.url, "SkipTLSVerify": False}},
    }
    contents = {"meta.json": json.dumps(meta).encode()}
    contents |= {f"tls/{_ENDPOINT}/{file}": content for file, content in files.items()}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in contents.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()
