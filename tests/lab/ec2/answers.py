"""Calls that moto does not know, or answers with something of its own: answered here."""

from __future__ import annotations

import base64
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from lab.ec2.catalogue import parameter
from lab.ec2.power import check_ids
from lab.ec2.wire import NAMESPACES, Refusal, Reply, ec2_reply, json_reply, xml
from lab.ec2.world import Exchange, Life

SERVICE_PARAMETERS = "/aws/service/"


def console_output(exchange: Exchange) -> Reply:
    """GetConsoleOutput: what the test put there, nothing at first."""
    check_ids(exchange)
    name = exchange.form.get("InstanceId", "")
    life = exchange.world.lives.get(name)
    if life is None:
        raise Refusal("InvalidInstanceID.NotFound", f"The instance ID '{name}' does not exist")
    kind = life.instance.instance_type
    if exchange.form.get("Latest") == "true" and INSTANCE_TYPES[kind].get("Hypervisor") != "nitro":
        told = "This instance type does not support retrieving the latest console logs."
        raise Refusal("UnsupportedOperation", told)
    text = base64.b64encode(exchange.world.consoles.get(name, "").encode()).decode()
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    output = f"<output>{text}</output>" if text else ""
    return ec2_reply(exchange.call, f"<instanceId>{name}</instanceId><timestamp>{stamp}</timestamp>{output}")


def get_parameter(exchange: Exchange) -> Reply | None:
    """SSM GetParameter for the public parameters; the caller's own are moto's."""
    name = (exchange.call.json or {}).get("Name", "")
    if not name.startswith(SERVICE_PARAMETERS):
        return None
    value = parameter(name, exchange.call.region)
    if value is None:
        raise Refusal("ParameterNotFound", f"Parameter {name} not found.")
    return json_reply({"Parameter": _shown(exchange, name, value)})


def get_parameters(exchange: Exchange) -> Reply | None:
    """The same for several; those that do not exist are listed, not refused."""
    names = (exchange.call.json or {}).get("Names", [])
    if not all(name.startswith(SERVICE_PARAMETERS) for name in names):
        return None
    values = {name: parameter(name, exchange.call.region) for name in names}
    found = [_shown(exchange, name, value) for name, value in values.items() if value]
    return json_reply({"Parameters": found, "InvalidParameters": [name for name in names if not values[name]]})


def _shown(exchange: Exchange, name: str, value: str) -> dict[str, Any]:
    arn = f"arn:aws:ssm:{exchange.call.region}::parameter{name}"
    kind = {"Type": "String", "DataType": "aws:ec2:image"}
    return {"Name": name, "Value": value, "Version": 1, "LastModifiedDate": time.time(), "ARN": arn, **kind}


def start_session(exchange: Exchange) -> Reply:
    """SSM StartSession: an id, a token and a stream that leads nowhere."""
    target = (exchange.call.json or {}).get("Target", "")
    life = exchange.world.lives.get(target)
    if life is None or life.instance.state != "running":
        raise Refusal("TargetNotConnected", f"{target} is not connected.")
    session = f"lab-{uuid.uuid4().hex[:17]}"
    stream = (
        f"wss://ssmmessages.{exchange.call.region}.amazonaws.com/v1/data-channel/{session}?role=publish_subscribe"
    )
    return json_reply({"SessionId": session, "TokenValue": uuid.uuid4().hex, "StreamUrl": stream})


def instance_information(exchange: Exchange) -> Reply:
    """SSM DescribeInstanceInformation: every running instance that has a profile."""
    running = [life for life in exchange.world.of_region(exchange.call.region) if life.instance.state == "running"]
    managed = [life.instance.id for life in running if _profile(exchange, life)]
    online = [{"InstanceId": name, "PingStatus": "Online", "PlatformType": "Linux"} for name in managed]
    return json_reply({"InstanceInformationList": online})


def _profile(exchange: Exchange, life: Life) -> object:
    return exchange.backend.iam_instance_profile_associations.get(life.instance.id)


def send_ssh_key(exchange: Exchange) -> Reply:
    """EC2 Instance Connect: remember the key for whoever boots the instances."""
    asked = exchange.call.json or {}
    life = exchange.world.lives.get(asked.get("InstanceId", ""))
    if life is None or life.region != exchange.call.region:
        raise Refusal("EC2InstanceNotFoundException", f"Instance {asked.get('InstanceId')} not found", 404)
    if life.instance.state != "running":
        raise Refusal("EC2InstanceStateInvalidException", f"Instance {life.instance.id} is not running.")
    key = {
        "instance": life.instance.id,
        "user": asked.get("InstanceOSUser", ""),
        "key": asked.get("SSHPublicKey", ""),
    }
    exchange.world.sent_keys.append({**key, "at": time.time()})
    return json_reply({"RequestId": str(uuid.uuid4()), "Success": True})


def decode_message(exchange: Exchange) -> Reply:
    """STS DecodeAuthorizationMessage for the messages of faults.unauthorized."""
    encoded = exchange.form.get("EncodedMessage", "")
    if not encoded.startswith("lab-"):
        told = "The input message is not valid."
        raise Refusal("InvalidAuthorizationMessageException", told)
    context = {"action": "ec2:RunInstances", "resource": "arn:aws:ec2:us-east-1:123456789012:instance/*"}
    decoded = json.dumps({"allowed": False, "explicitDeny": False, "context": context})
    inner = f"<DecodedMessage>{decoded.replace('&', '&amp;')}</DecodedMessage>"
    name = "DecodeAuthorizationMessage"
    metadata = f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
    body = f"<{name}Result>{inner}</{name}Result>{metadata}"
    return xml(f'<{name}Response xmlns="{NAMESPACES["sts"]}">{body}</{name}Response>')
