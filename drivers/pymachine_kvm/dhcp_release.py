"""Releases a DHCP lease for a machine that was powered off and did not release it itself.

libvirt has no call for that. Its DHCP server accepts a release (RFC 2131, 4.4.6) from this host as from the machine,
if it arrives on the network's bridge.
"""

from __future__ import annotations

import secrets
import socket
import struct

_REQUEST, _ETHERNET, _MAC_LENGTH = 1, 1, 6
_COOKIE = b"\x63\x82\x53\x63"
_MESSAGE_TYPE, _SERVER, _END = 53, 54, 255
_RELEASE = 7
_SERVER_PORT = 67


def give_back(address: str, mac: str, *, server: str, bridge: str) -> bool:
    """Send the server on ``bridge`` a release of the lease; False where this host may not, or has no such bridge.

    Nothing answers a release. Linux lets everybody bind a socket to a device since 5.7.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bridge.encode())
            sender.sendto(release_message(address, mac, server), (server, _SERVER_PORT))
    except OSError:
        return False
    return True


def release_message(address: str, mac: str, server: str) -> bytes:
    """Return a DHCPRELEASE (RFC 2131, figure 1; options of RFC 2132)."""
    nowhere = bytes(4)
    head = struct.pack("!BBBBIHH", _REQUEST, _ETHERNET, _MAC_LENGTH, 0, secrets.randbits(32), 0, 0)
    addresses = socket.inet_aton(address) + nowhere * 3
    hardware = bytes.fromhex(mac.replace(":", "")).ljust(16, b"\0")
    options = bytes((_MESSAGE_TYPE, 1, _RELEASE, _SERVER, 4)) + socket.inet_aton(server) + bytes((_END,))
    return head + addresses + hardware + bytes(64 + 128) + _COOKIE + options
