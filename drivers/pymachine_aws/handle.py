"""The handle of an instance: everything that ``rm`` needs, known before anything is billed."""

from __future__ import annotations

from dataclasses import dataclass

from pymachine.driver import Remembered


@dataclass(frozen=True, slots=True)
class Ec2(Remembered):
    """One instance, as the record keeps it.

    ``region``, ``profile`` and ``endpoint_url`` say where to ask; the last two are None where boto3 decides. ``id``
    is the machine's, and the value of the tag ``pymachine:id`` on all that was made for it. ``token`` is the client
    token of the launch that was begun last, and ``digest`` tells its request: the same request with the same token
    gives the same instance, never a second one. ``instance`` is empty until AWS has answered. ``vpc`` and ``group``
    (id) are set where our own security group is used, ``key_pair`` where our key was imported. ``market`` is
    ``spot`` or empty. ``address`` is ``public``, ``private`` or ``ipv6``: which one clients use. ``via`` is how SSH
    gets there; ``public_key`` is the OpenSSH line that EC2 Instance Connect then puts on the host. ``adopted`` says
    that we did not make it. ``account`` is AWS's number of the account that it is in, empty until AWS has told.
    """

    region: str
    id: str
    profile: str | None = None
    endpoint_url: str | None = None
    token: str = ""
    digest: str = ""
    instance: str = ""
    vpc: str = ""
    group: str = ""
    key_pair: str = ""
    market: str = ""
    user: str = ""
    ssh_port: int = 22
    address: str = "public"
    via: str = "direct"
    public_key: str = ""
    host_key: str = "first-contact"
    adopted: bool = False
    account: str = ""
