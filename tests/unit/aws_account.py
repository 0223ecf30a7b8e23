"""Accounts for tests of the aws driver: one that answers from a table, and an AWS on loopback for real clients."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from patience import LIMIT
from pymachine_aws.api import ApiError, AwsAccount

KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret"}

Answer: TypeAlias = "Mapping[str, Any] | Exception | Callable[..., Mapping[str, Any]] | list[Any]"


def refusal(code: str, message: str = "refused") -> ApiError:
    return ApiError(f"cannot do it: {message} ({code})", code=code)


class TableAccount(AwsAccount):
    """Answers each operation from ``answers``: a document, an error, a function of the parameters, or a list of these
    for one call after the other. ``calls`` are operations with their parameters.
    """

    def __init__(self, answers: Mapping[str, Answer], region: str = "eu-central-1") -> None:
        super().__init__(region)
        self._answers = {
            name: list(answer) if isinstance(answer, list) else answer for name, answer in answers.items()
        }
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.known = ["t3.small", "t3.medium", "t3a.small", "t4g.small", "m1.small"]

    @property
    def operations(self) -> list[str]:
        return [name for name, _ in self.calls]

    def read(  # type: ignore[explicit-override]
        self, operation: str, what: str, *, service: str = "ec2", **params: Any
    ) -> dict[str, Any]:
        return self._answered(operation, params)

    def pages(  # type: ignore[explicit-override]
        self, operation: str, key: str, what: str, **params: Any
    ) -> Iterator[Any]:
        return iter(self._answered(operation, params)[key])

    def change(  # type: ignore[explicit-override]
        self, operation: str, what: str, *, service: str = "ec2", **params: Any
    ) -> dict[str, Any]:
        return self._answered(operation, params)

    def words(self, shape: str) -> list[str]:  # type: ignore[explicit-override]
        return self.known

    def _answered(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, params))
        answer = self._answers[operation]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer(**params) if callable(answer) else answer)


@dataclass
class Reply:
    """What the AWS on loopback says: a body, a status, how far its clock is ahead; ``cut`` says nothing."""

    body: str = "<R/>"
    status: int = 200
    ahead: float = 0.0
    cut: bool = False
    wait: threading.Event | None = None
    headers: dict[str, str] = field(default_factory=dict)


def error_body(code: str, message: str = "no") -> str:
    return f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"


class Loopback:
    """An AWS that gives the replies it is told, by action; the last of an action's replies stays."""

    def __init__(self, url: str, now: Callable[[], float]) -> None:
        self.url = url
        self.replies: dict[str, list[Reply]] = {}
        self.requests: list[dict[str, str]] = []
        self.agents: list[str] = []
        self.signatures: list[str] = []
        self.now = now
        self.accounts: dict[str, AwsAccount] = {}

    def forget(self) -> None:
        """Have nothing to say and nothing heard; accounts stay."""
        self.replies.clear()
        self.requests.clear()
        self.agents.clear()
        self.signatures.clear()

    def says(self, action: str, *replies: Reply) -> None:
        self.replies[action] = list(replies)

    def refuses(self, action: str, code: str, message: str = "no", status: int = 400, ahead: float = 0.0) -> None:
        self.says(action, Reply(error_body(code, message), status, ahead))

    @property
    def actions(self) -> list[str]:
        return [each["Action"] for each in self.requests]

    @property
    def keys(self) -> list[str]:
        """The access keys that signed the requests."""
        return [each.partition("Credential=")[2].partition("/")[0] for each in self.signatures]

    def take(self, request: dict[str, str], agent: str, signature: str) -> Reply:
        self.requests.append(request)
        self.agents.append(agent)
        self.signatures.append(signature)
        replies = self.replies.get(request["Action"], [Reply()])
        return replies.pop(0) if len(replies) > 1 else replies[0]


@contextmanager
def loopback(now: Callable[[], float]) -> Iterator[Loopback]:
    """Yield an AWS on 127.0.0.1; ``now`` is its clock, in seconds of the epoch."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]
            """Print nothing."""

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            reply = aws.take(
                dict(parse_qsl(text)), self.headers.get("User-Agent", ""), self.headers.get("Authorization", "")
            )
            if reply.wait is not None:
                reply.wait.wait(LIMIT)
            if reply.cut or reply.wait is not None:
                self.close_connection = True
                return
            self.send_response_only(reply.status)
            self.send_header("Date", formatdate(aws.now() + reply.ahead, usegmt=True))
            self.send_header("Content-Length", str(len(reply.body.encode())))
            self.end_headers()
            self.wfile.write(reply.body.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    aws = Loopback(f"http://127.0.0.1:{server.server_address[1]}", now)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield aws
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
