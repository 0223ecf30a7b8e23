"""docker-machine's global flags of certificates, as options of the driver that can use them."""

from __future__ import annotations

from collections.abc import Mapping

from pymachine.cli.driver_options import PREFIX
from pymachine.docker_machine.view import their_name
from pymachine.errors import UsageFault

_USED_BY = "none"
_USED = {"--tls-ca-cert": "tls_ca_cert", "--tls-client-cert": "tls_client_cert", "--tls-client-key": "tls_client_key"}


def with_authority(given: Mapping[str, str], driver: str) -> dict[str, str]:
    """Return the driver's options for the files that the flags name.

    Raises ``UsageFault`` for a driver whose machines get certificates from pymachine.
    """
    if not given:
        return {}
    if their_name(driver) != _USED_BY or not given.keys() <= _USED.keys():
        flags = ", ".join(given)
        raise UsageFault(
            f"{flags}: certificates of others are used with driver {_USED_BY} only",
            hint=f"omit {flags}: each machine gets an authority of its own",
        )
    return {f"{PREFIX}{_USED[flag]}": path for flag, path in given.items()}
