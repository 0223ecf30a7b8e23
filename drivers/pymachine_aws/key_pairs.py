"""EC2 key pairs of pymachine, for images without cloud-init."""

from __future__ import annotations

from collections.abc import Mapping

from pymachine.clock import Clock
from pymachine.driver import Request
from pymachine_aws import tags
from pymachine_aws.api import ApiError, AwsAccount
from pymachine_aws.describe import insist


def name_of(request: Request) -> str:
    """Return the name of the machine's key pair, unique over all stores."""
    return f"pymachine-{request.name}-{request.machine_id.replace('-', '')[:8]}"


def ensure(account: AwsAccount, name: str, public_key: str, carried: Mapping[str, str], clock: Clock) -> None:
    """Import the public key (OpenSSH line) under a name unless it exists."""

    def bring() -> None:
        try:
            account.change(
                "import_key_pair",
                "import the key pair",
                KeyName=name,
                PublicKeyMaterial=public_key.strip().encode(),
                TagSpecifications=[tags.specification("key-pair", carried)],
            )
        except ApiError as error:
            if error.code != "InvalidKeyPair.Duplicate":
                raise

    insist(bring, clock)


def remove(account: AwsAccount, name: str, clock: Clock) -> None:
    """Delete a key pair; EC2 accepts a missing one."""
    insist(lambda: account.change("delete_key_pair", "delete the key pair", KeyName=name), clock)
