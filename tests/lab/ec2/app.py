"""The WSGI layer in front of moto: log, faults, rules before, moto or an answer of ours, rules after."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterable

from moto.core import responses as moto_responses
from moto.ec2 import utils as moto_utils
from moto.kms import models as moto_keys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from lab.ec2 import answers, changing, ended, groups, launched, pairs, power, spot, tags
from lab.ec2.control import Control
from lab.ec2.faults import Fault, When
from lab.ec2.unseen import hiding
from lab.ec2.wire import Call, Environ, Refusal, Reply, StartResponse, error_reply, perform, read_call, rewritten
from lab.ec2.world import Exchange, World

Before = Callable[[Exchange], Reply | None]
After = Callable[[Exchange], None]
Check = Callable[[Exchange], None]

ANSWERS: dict[tuple[str, str], Before] = {
    ("ec2", "GetConsoleOutput"): answers.console_output,
    ("ec2", "RunInstances"): launched.before_launch,
    ("ec2", "DescribeSpotInstanceRequests"): spot.describe_requests,
    ("ec2", "CancelSpotInstanceRequests"): spot.cancel_requests,
    ("ssm", "GetParameter"): answers.get_parameter,
    ("ssm", "GetParameters"): answers.get_parameters,
    ("ssm", "StartSession"): answers.start_session,
    ("ssm", "DescribeInstanceInformation"): answers.instance_information,
    ("ec2-instance-connect", "SendSSHPublicKey"): answers.send_ssh_key,
    ("sts", "DecodeAuthorizationMessage"): answers.decode_message,
}
BEFORE: dict[str, Check] = {
    "CreateSecurityGroup": groups.before_create_group,
    "DeleteSecurityGroup": groups.before_delete_group,
    "AuthorizeSecurityGroupIngress": groups.before_authorize,
    "AuthorizeSecurityGroupEgress": groups.before_authorize,
    "RevokeSecurityGroupIngress": groups.before_authorize,
    "CreateTags": tags.before_create_tags,
    "ModifyInstanceAttribute": changing.before_modify_instance,
    "ModifyVolume": changing.before_modify_volume,
    "ImportKeyPair": pairs.before_import,
    "DeleteKeyPair": pairs.by_name,
    "DescribeKeyPairs": pairs.by_name,
    "CreateKeyPair": tags.before_tagged_create,
    "CreateVolume": tags.before_tagged_create,
    "StartInstances": power.before_power,
    "StopInstances": power.before_power,
    "RebootInstances": power.before_power,
    "TerminateInstances": power.before_terminate,
    "DescribeInstances": power.check_ids,
}
AFTER: dict[str, After] = {
    "RunInstances": launched.after_launch,
    "DescribeInstances": ended.after_describe,
    "CreateSecurityGroup": groups.after_create_group,
    "AuthorizeSecurityGroupIngress": groups.after_authorize,
    "AuthorizeSecurityGroupEgress": groups.after_authorize,
    "RevokeSecurityGroupIngress": groups.after_authorize,
    "StartInstances": power.after_start,
    "StopInstances": power.after_stop,
    "RebootInstances": power.after_reboot,
    "TerminateInstances": power.after_terminate,
}
# Filters of DescribeInstances that moto lacks: name to the attribute that it compares.
MORE_FILTERS = {
    "client-token": "client_token",
    "instance-lifecycle": "lifecycle",
    "reason": "state_transition_reason",
}


KEYS_LIMIT = 15.0  # seconds to wait for a key to be put on an instance


class Dropped(ConnectionError):
    """The connection is closed without an answer, as asked."""


class StrictEc2:
    """The application: moto's services, EC2 and its neighbours made strict, with the lab's own paths beside them."""

    def __init__(self) -> None:
        moto_utils.filter_dict_attribute_mapping.update(MORE_FILTERS)
        # Nearly half of moto's time for a launch: after each reset an RSA key for encrypted volumes, which nobody
        # reads, and for each request a list of a class's methods.
        for module, name in ((moto_keys, "generate_private_key"), (moto_responses, "method_names_from_class")):
            setattr(module, name, functools.cache(getattr(module, name)))
        self.world = World()
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.control = Control(self.world, self.moto)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        if path == "/checkip":
            address = self.world.settings.checkip or environ.get("REMOTE_ADDR", "")
            return Reply(200, f"{address}\n".encode(), [("Content-Type", "text/plain")]).send(start_response)
        if path.startswith("/lab/"):
            return self.control.answer(path.removeprefix("/lab/"), environ).send(start_response)
        return self._serve(read_call(environ)).send(start_response)

    def _serve(self, call: Call) -> Reply:
        entry = self.world.record(call)
        befalling = self.world.faults.befalling(call.action, call.number, call.region)
        reply = self._befall("before", befalling, call)
        if reply is None:
            reply = self._answer(call)
            self._await_keys(call)
            entry["performed"] = reply.status
            reply = self._befall("after", befalling, call) or reply
        entry["status"] = reply.status
        return reply

    def _befall(self, when: When, faults: list[Fault], call: Call) -> Reply | None:
        for fault in [fault for fault in faults if fault.when == when]:
            if fault.kind == "error":
                return error_reply(call, Refusal(fault.code, fault.message, fault.status))
            if fault.kind == "drop":
                _close(call.environ)
            elif fault.kind == "hang":
                time.sleep(fault.seconds)
            elif fault.kind == "hold":
                self.world.faults.wait_held({"number": call.number, "action": call.action, "when": when})
                if when == "before" and _gone(call.environ):
                    _close(call.environ)
            else:
                os.kill(fault.pid, signal.SIGKILL)
        return None

    def _await_keys(self, call: Call) -> None:
        """Answer for a key of Instance Connect only once it opens the instance, as the real one does."""
        world, end = self.world, time.monotonic() + KEYS_LIMIT
        if call.action == "SendSSHPublicKey" and world.settings.keys_awaited:
            wanted = len(world.sent_keys)
            while world.keys_taken < wanted and time.monotonic() < end:
                time.sleep(0.02)

    def _answer(self, call: Call) -> Reply:
        with self.world.lock:
            try:
                return self._by_the_rules(call)
            except Refusal as refusal:
                return error_reply(call, refusal)
            except Exception as error:  # noqa: BLE001 - moto's own: shown to the caller, who must not try again
                traceback.print_exc()
                return error_reply(call, Refusal("LabUnimplemented", f"{type(error).__name__}: {error}", 400))

    def _by_the_rules(self, call: Call) -> Reply:
        exchange = Exchange(call, self.world, self.world.backend(call.region))
        self.world.advance()
        if call.service == "ec2" and call.action in BEFORE:
            BEFORE[call.action](exchange)
        own = ANSWERS.get((call.service, call.action))
        if own and (reply := own(exchange)):
            return reply
        if call.service != "ec2":
            return perform(self.moto, rewritten(call))
        with hiding(exchange):
            exchange.reply = perform(self.moto, rewritten(call))
        if call.action in AFTER:
            AFTER[call.action](exchange)
        return exchange.reply


def _gone(environ: Environ) -> bool:
    """Whether the caller ended while it was held: what it asked for never got here then."""
    connection: socket.socket = environ["werkzeug.socket"]
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _close(environ: Environ) -> None:
    """Close the connection under the server, which then has nobody to answer."""
    with contextlib.suppress(OSError):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise Dropped("dropped on request")
