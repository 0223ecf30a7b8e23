"""A request as AWS's clients put it on the wire, and the replies they understand: the query and the JSON protocol."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

NAMESPACES = {
    "ec2": "http://ec2.amazonaws.com/doc/2016-11-15/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}
# What the clients sign for is not always what the service is called.
SERVICES = {"AmazonSSM": "ssm", "AWSEC2InstanceConnectService": "ec2-instance-connect"}


class Refusal(Exception):
    """A call that AWS answers with an error: its code, the message, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass
class Reply:
    """What goes back over HTTP."""

    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)

    def send(self, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a WSGI request with it."""
        kept = [(name, value) for name, value in self.headers if name.lower() != "content-length"]
        start_response(f"{self.status} Lab", [*kept, ("Content-Length", str(len(self.body)))])
        return [self.body]


@dataclass
class Call:
    """One API request. ``form`` has the flat parameters of the query protocol, ``json`` the document of the other."""

    service: str
    region: str
    action: str
    form: dict[str, str] = field(default_factory=dict)
    json: dict[str, Any] | None = None
    environ: Environ = field(default_factory=dict)
    number: int = 0

    @property
    def params(self) -> dict[str, Any]:
        """The parameters without what every request carries."""
        if self.json is not None:
            return self.json
        return {key: value for key, value in self.form.items() if key not in ("Action", "Version")}

    def nested(self) -> dict[str, Any]:
        """The flat parameters as a tree: ``A.1.B`` becomes ``{"A": [{"B": …}]}``."""
        return nest(self.form)

    def values(self, stem: str) -> list[str]:
        """A list parameter: values("InstanceId") reads InstanceId.1, InstanceId.2 and so on."""
        found = self.nested().get(stem, [])
        return [str(value) for value in found] if isinstance(found, list) else [str(found)]


def nest(form: Mapping[str, str]) -> dict[str, Any]:
    """Turn flat query parameters into dictionaries and, where all keys are numbers, lists in their order."""
    tree: dict[str, Any] = {}
    for key, value in form.items():
        place = tree
        *path, last = key.split(".")
        for word in path:
            if not isinstance(place.get(word), dict):
                place[word] = {}
            place = place[word]
        place[last] = value
    listed = _listed(tree)
    return listed if isinstance(listed, dict) else {}


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    below = {key: _listed(value) for key, value in node.items()}
    if below and all(key.isdigit() for key in below):
        return [below[key] for key in sorted(below, key=int)]
    return below


def read_call(environ: Environ) -> Call:
    """Read a request; the service and region come from what its signature names."""
    body = _body(environ)
    service, region = _scope(environ.get("HTTP_AUTHORIZATION", ""))
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        prefix, _, action = str(target).rpartition(".")
        return Call(
            SERVICES.get(str(prefix), service), region, str(action), json=json.loads(body or b"{}"), environ=environ
        )
    form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    action = form.get("Action") or str(environ.get("PATH_INFO", ""))
    return Call(service, region, action, form, environ=environ)


def _body(environ: Environ) -> bytes:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _scope(authorization: str) -> tuple[str, str]:
    """Service and region of ``AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …``."""
    _, _, credential = authorization.partition("Credential=")
    words = credential.partition(",")[0].split("/")
    return (words[3], words[2]) if len(words) == 5 else ("", "us-east-1")


def rewritten(call: Call) -> Environ:
    """The request's environment with the form as it is now, for whoever reads it next."""
    if call.json is not None:
        return call.environ
    body = urlencode(call.form).encode()
    return {**call.environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}


def perform(application: Application, environ: Environ) -> Reply:
    """Run a WSGI application to its end and take its answer."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    chunks = application(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
    body = b"".join(chunks)
    if close := getattr(chunks, "close", None):
        close()
    status, headers = started[-1]
    return Reply(int(status.split()[0]), body, list(headers))


def error_reply(call: Call, refusal: Refusal) -> Reply:
    """An error in the form of the call's protocol."""
    code, message = escape(refusal.code), escape(refusal.message)
    if call.json is not None:
        return json_reply({"__type": refusal.code, "message": refusal.message}, refusal.status)
    errors = f"<Code>{code}</Code><Message>{message}</Message>"
    if call.service == "ec2":
        text = f"<Response><Errors><Error>{errors}</Error></Errors><RequestID>{uuid.uuid4()}</RequestID></Response>"
    else:
        inner = f"<Error><Type>Sender</Type>{errors}</Error><RequestId>{uuid.uuid4()}</RequestId>"
        text = f'<ErrorResponse xmlns="{NAMESPACES.get(call.service, "")}">{inner}</ErrorResponse>'
    return xml(text, refusal.status)


def xml(text: str, status: int = 200) -> Reply:
    """A reply with an XML document."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
    return Reply(status, body, [("Content-Type", "text/xml;charset=UTF-8")])


def ec2_reply(call: Call, inner: str) -> Reply:
    """A successful answer of EC2 with the given elements."""
    name = f"{call.action}Response"
    return xml(f'<{name} xmlns="{NAMESPACES["ec2"]}"><requestId>{uuid.uuid4()}</requestId>{inner}</{name}>')


def json_reply(document: object, status: int = 200) -> Reply:
    """A reply with a JSON document."""
    return Reply(status, json.dumps(document).encode(), [("Content-Type", "application/x-amz-json-1.1")])
