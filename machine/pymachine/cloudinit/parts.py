"""User-data of several parts: MIME as cloud-init reads it.

Text is not encoded unless necessary, because base64 hides repetitions from gzip and EC2 allows only 16 KiB.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.policy import Compat32

CLOUD_CONFIG = "text/cloud-config"
SCRIPT = "text/x-shellscript"
BOOTHOOK = "text/cloud-boothook"
HANDLER = "text/part-handler"
TEMPLATE = "text/jinja2"  # what cloud-init renders on the machine, and takes for what comes of it

_POLICY = Compat32(mangle_from_=False)  # "From " at the beginning of a line does not end a mail here


@dataclass(frozen=True, slots=True)
class UserDataPart:
    """One part: its MIME type (``text/…``), its text, and the name that cloud-init uses for it."""

    kind: str
    text: str = field(repr=False)
    name: str


def multipart(parts: Sequence[UserDataPart]) -> bytes:
    """Return the parts as one MIME document in ASCII; equal parts give equal bytes."""
    total = hashlib.sha256("\0".join(f"{part.kind}\0{part.name}\0{part.text}" for part in parts).encode())
    document = MIMEMultipart(boundary=f"={total.hexdigest()[:32]}=")
    for part in parts:
        document.attach(_message(part))
    return document.as_bytes(policy=_POLICY)


def _message(part: UserDataPart) -> Message:
    """Return a plain text part unchanged; any other in quoted-printable."""
    message = Message()
    message["Content-Type"] = f'{part.kind}; charset="utf-8"'
    message["MIME-Version"] = "1.0"
    # Lines of MIME end in one way only: a text that has other ends would come out changed.
    plain = part.text.isascii() and "\r" not in part.text
    message["Content-Transfer-Encoding"] = "7bit" if plain else "quoted-printable"
    message.add_header("Content-Disposition", "attachment", filename=part.name)
    message.set_payload(part.text if plain else _quoted(part.text))
    return message


def _quoted(text: str) -> str:
    """Return text in quoted-printable; line ends that differ from MIME's are encoded."""
    return b2a_qp(text.encode(), istext="\r" not in text).decode("ascii")
