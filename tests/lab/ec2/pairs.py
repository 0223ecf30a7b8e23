"""Key pairs by id, which moto ignores, and keys that are none, on which it stumbles."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from lab.ec2.tags import before_tagged_create
from lab.ec2.wire import Refusal
from lab.ec2.world import Exchange


def before_import(exchange: Exchange) -> None:
    """Refuse what is no RSA or ED25519 key in OpenSSH's form: EC2 takes no other kind."""
    before_tagged_create(exchange)
    try:
        key = load_ssh_public_key(base64.b64decode(exchange.form.get("PublicKeyMaterial", "")))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey | Ed25519PublicKey):
        raise Refusal("InvalidKey.Format", "Key is not in valid OpenSSH public key format")


def by_name(exchange: Exchange) -> None:
    """Turn ids into names."""
    names = {pair.id: pair.key_name for pair in exchange.backend.key_pairs.values()}
    form = exchange.form
    for key, value in list(form.items()):
        if key.startswith("KeyPairId"):
            if value not in names and exchange.call.action == "DescribeKeyPairs":
                raise Refusal("InvalidKeyPair.NotFound", f"The key pair ID '{value}' does not exist")
            form[key.replace("KeyPairId", "KeyName")] = names.get(value, "")
