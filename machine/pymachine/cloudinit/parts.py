"""User-data of several parts: MIME, as cloud-init reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

CLOUD_CONFIG = "text/cloud-config"
SCRIPT = "text/x-shellscript"
BOOTHOOK = "text/cloud-boothook"
HANDLER = "text/part-handler"


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its MIME type (``text/…``), its text, and the name under which cloud-init keeps it."""

    kind: str
    text: str = field(repr=False)
    name: str


def multipart(parts: Sequence[Part]) -> bytes:
    """Return the parts as one MIME document in ASCII; the same parts give the same bytes."""
    total = hashlib.sha256("\0".join(f"{part.kind}\0{part.name}\0{part.text}" for part in parts).encode())
    document = MIMEMultipart(boundary=f"={total.hexdigest()[:32]}=")
    for part in parts:
        main, _, kind = part.kind.partition("/")
        assert main == "text"
        message = MIMEText(part.text, kind, "utf-8")
        message.add_header("Content-Disposition", "attachment", filename=part.name)
        document.attach(message)
    return document.as_bytes()
