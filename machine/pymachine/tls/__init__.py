"""The certificates that protect an engine: one authority, one server and one client certificate per machine.

There is no revocation: neither the Docker engine nor its client checks for revoked certificates. Anyone with a client
certificate of the engine's authority is root on the host. So each machine has its own authority: if a key leaks, only
that authority is replaced.
"""

from pymachine.tls.authority import read_authority
from pymachine.tls.clock import check_clock, clock_skew
from pymachine.tls.issue import (
    Issued,
    ensure,
    first_authority,
    issue,
    issue_beside,
    issue_client,
    reissue,
    reissue_server,
    renew_client,
)
from pymachine.tls.profile import Authority
from pymachine.tls.subject_names import normal as normal_name
from pymachine.tls.validity import Need, Part, needs, summary, verify_set

__all__ = [
    "Authority",
    "Issued",
    "Need",
    "Part",
    "check_clock",
    "clock_skew",
    "ensure",
    "first_authority",
    "issue",
    "issue_beside",
    "issue_client",
    "needs",
    "normal_name",
    "read_authority",
    "reissue",
    "reissue_server",
    "renew_client",
    "summary",
    "verify_set",
]
