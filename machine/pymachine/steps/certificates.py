"""The step that issues a machine's certificates, and its preview."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from pymachine import tls
from pymachine.model import Certificates, Machine
from pymachine.steps import renewal
from pymachine.steps.session import Session
from pymachine.tls.validity import CERTIFICATE_OF


class Certify:
    """Issue the certificates, or keep those that still fit and are not in ``renew``.

    ``ca`` in ``renew`` keeps none; otherwise the present authority signs again what is in it.

    An authority in use is not replaced before the engine has answered with the new one: see ``steps.renewal``.
    """

    title = "issuing certificates"

    def __init__(self, *, renew: Collection[tls.Part] = ()) -> None:
        self._renew = renew

    def needs(self, machine: Machine) -> bool:
        """Every machine that has a host."""
        return machine.ssh is not None

    def run(self, machine: Machine, session: Session) -> Machine:
        """Issue what is missing; a certificate is stored before it is sent."""
        fresh, certificates = self._made(machine, session)
        if renewal.replaces(machine, fresh):
            return session.save(*renewal.begun(machine, fresh))
        return session.save(machine.with_(certificates=certificates), fresh)

    def due(self, machine: Machine, session: Session) -> tuple[tls.Need, ...]:
        """Return what would be reissued, and why; nothing for a machine that has no certificates yet."""
        if machine.certificates is None:
            return ()
        known = session.secrets(machine)
        fresh, _ = self._made(machine, session)
        made = {**renewal.wanted(known), **fresh}
        parts = [part for part, file in CERTIFICATE_OF.items() if file in made and made[file] != known.get(file)]
        aged = {need.part: need.reason for need in tls.needs(machine.certificates, sans_of(machine), _now(session))}
        otherwise = "the authority is a new one" if "ca" in aged else "the one on record does not match"
        if renewal.is_begun(machine):
            otherwise = "its renewal was interrupted"
        asked = [part for part in parts if "ca" in self._renew or part in self._renew]
        return tuple(tls.Need(part, "as requested" if part in asked else aged.get(part, otherwise)) for part in parts)

    def _made(self, machine: Machine, session: Session) -> tuple[Mapping[str, bytes], Certificates]:
        if "ca" in self._renew:
            issued = tls.issue(machine.name, sans_of(machine), now=_now(session))
            return issued.files, issued.certificates
        known, now = renewal.wanted(session.secrets(machine)), _now(session)
        fresh, certificates = tls.ensure(machine.name, sans_of(machine), known, now)
        for part in self._renew:
            if CERTIFICATE_OF[part] not in fresh:
                issued = tls.reissue(part, machine.name, sans_of(machine), {**known, **fresh}, now)
                fresh, certificates = {**fresh, **issued.files}, issued.certificates
        return fresh, certificates


def sans_of(machine: Machine) -> tuple[str, ...]:
    """Return every name and address that clients may use for the machine."""
    hosts = [machine.endpoint.host] if machine.endpoint else []
    return tuple(dict.fromkeys((machine.name, *hosts, *machine.addresses, *machine.engine.sans)))


def _now(session: Session) -> datetime:
    return datetime.fromtimestamp(session.tools.now(), UTC)
