"""The certificates that guard an engine: one authority, one server and one client certificate for each machine.

There is no revocation: neither the Docker engine nor its client looks for revoked certificates. Whoever holds a
client certificate that the engine's authority signed is root on the host. Hence one authority for each machine:
a leaked key is answered by replacing that one, and nothing else changes.
"""

from pymachine.tls.authority import read_authority
from pymachine.tls.clock import check_clock, clock_skew
from pymachine.tls.issue import Issued, ensure, issue, reissue_server, renew_client
from pymachine.tls.profile import Authority
from pymachine.tls.validity import Need, needs, summary, verify_set

__all__ = [
    "Authority",
    "Issued",
    "Need",
    "check_clock",
    "clock_skew",
    "ensure",
    "issue",
    "needs",
    "read_authority",
    "reissue_server",
    "renew_client",
    "summary",
    "verify_set",
]
