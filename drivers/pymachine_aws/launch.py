"""Launches one instance for one machine, however often it is tried and wherever it stops."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pymachine.clock import Clock
from pymachine.driver import Instance, Remember, Request
from pymachine.errors import CheckFailed, Unreachable
from pymachine_aws import console_key, describe, error_codes, key_pairs, security_group, tags
from pymachine_aws.api import ApiError, AwsAccount
from pymachine_aws.config import LaunchConfig
from pymachine_aws.describe import Described, spread
from pymachine_aws.error_codes import NoRoom, RefusalScope
from pymachine_aws.handle import Ec2
from pymachine_aws.identity import refuse_another_account
from pymachine_aws.ingress import ports_of
from pymachine_aws.ingress_sources import sources_of
from pymachine_aws.remove import terminate
from pymachine_aws.run_instances import Parts, digest_of, run_body
from pymachine_aws.security_group_rules import Rule, wanted_rules
from pymachine_aws.site import Attempt, Site, VpcSubnet
from pymachine_aws.ssh_proxy import proxy_words
from pymachine_aws.user_data import STAND_IN, user_data_of

_STAND_IN_USER = "x" * 12  # the image's account is known later; none is called longer


def check(request: Request, wanted: LaunchConfig) -> None:
    """Raise ``UsageFault`` for user-data that cannot be merged or is too large. Calls nothing."""
    stand_in = replace(request, login=request.login or STAND_IN)
    user_data_of(stand_in, wanted, wanted.way.user or _STAND_IN_USER)


@dataclass(frozen=True, slots=True)
class Means:
    """The dependencies of a launch. ``sources`` returns the address ranges that pymachine's group allows."""

    account: AwsAccount
    clock: Clock = field(default_factory=Clock)
    sources: Callable[[LaunchConfig, VpcSubnet], Sequence[str]] = sources_of


class Launch:
    """One create. All parts are repeatable: the last remembered handle says how far it came."""

    def __init__(self, request: Request, wanted: LaunchConfig, site: Site, remember: Remember, means: Means) -> None:
        self._request = request
        self._wanted = wanted
        self._site = site
        self._remember = remember
        self._account = means.account
        self._clock = means.clock
        self._sources = means.sources
        self._ec2 = self._first_handle()
        self._doubtful = False
        self._groups = site.groups
        self._user_data: dict[str, bytes] = {}
        self._tags = tags.of_machine(request.name, request.machine_id, request.owner, wanted.tags)

    def instance(self) -> Instance:
        """Return the instance, running: found again, or launched.

        Raises ``DriverError``; what was made by then is remembered, and the same create continues it.
        """
        known = self._known()
        self._prepare()
        described = self._found_running(known) or self._launched()
        self._remove_doubles()
        return self._introduced(described)

    # What comes before the instance.

    def _first_handle(self) -> Ec2:
        """Return what is known beforehand, or was remembered. Raises ``CheckFailed`` for another region than then."""
        request, way = self._request, self._wanted.way
        ec2 = Ec2(region=self._account.region, id=request.machine_id)
        if request.resume:
            ec2 = Ec2.of(request.resume)
            _refuse_another_region(ec2, self._account.region, request.name)
        return ec2.with_(
            region=self._account.region,
            profile=self._wanted.profile,
            endpoint_url=self._wanted.endpoint_url,
            ssh_port=way.port,
            address=way.address,
            via=way.via,
            host_key=way.host_key,
            public_key=self._login_key() if way.via == "instance-connect" else "",
        )

    def _prepare(self) -> None:
        if not self._site.groups:
            self._ensure_group()
        if self._wanted.access.import_key:
            name = key_pairs.name_of(self._request)
            self._keep(key_pair=name)
            key_pairs.ensure(self._account, name, self._login_key(), self._tags, self._clock)

    def _ensure_group(self) -> None:
        """Have our own group; the handle tells of it first, since nobody else would delete it."""
        left = self._ec2.vpc
        if left != self._site.vpc:
            self._keep(vpc=self._site.vpc, group="")
        self._request.progress("opening ports for this computer only")
        group = security_group.ensure(self._account, self._site.vpc, self._rules(), self._clock)
        self._groups = (group,)
        if group != self._ec2.group:
            self._keep(group=group)
        if left and left != self._site.vpc:
            security_group.delete_unused(self._account, left, self._clock)

    def _rules(self) -> tuple[Rule, ...]:
        ports = ports_of(self._wanted, self._request.engine_port)
        return wanted_rules(ports, self._sources(self._wanted, self._site.attempts[0].subnet))

    # An instance that an earlier create launched.

    def _known(self) -> Described | None:
        """Return the instance on record; one that does not show, and may yet, is asked for again with its token."""
        if not self._ec2.instance:
            return None
        found = describe.until_seen(lambda: describe.find_instance(self._account, self._ec2.instance), self._clock)
        if found is None:
            refuse_another_account(self._account, self._ec2)
        return found

    def _found_running(self, known: Described | None) -> Described | None:
        found = self._found_again(known)
        if found is None:
            return None
        try:
            return self._run_on(found)
        except NoRoom as none:
            self._request.notice(f"{none.message}: a new one is launched")
            self._begin_anew()
            return None

    def _found_again(self, known: Described | None) -> Described | None:
        if known and describe.state_of(known) in describe.KEPT:
            return known
        if known:
            self._request.notice(f"{self._ec2.instance} is gone: a new one is launched")
            self._begin_anew()
        if self._ec2.token and self._begun() is None:
            return self._launched_otherwise()
        return None

    def _begun(self) -> int | None:
        """Return which of the attempts the remembered token belongs to."""
        digests = [digest_of(self._body(each)) for each in self._site.attempts]
        return digests.index(self._ec2.digest) if self._ec2.token and self._ec2.digest in digests else None

    def _launched_otherwise(self) -> Described | None:
        """Look for what a launch with other options came to: it cannot be asked for again without a second one."""
        found = describe.until_seen(lambda: describe.find_machine(self._account, self._ec2.id), self._clock)
        if not found:
            self._doubtful = True
            self._begin_anew()
            return None
        self._keep(instance=found[0]["InstanceId"])
        self._request.notice(f"{self._ec2.instance} was launched with other options, and is not changed")
        return found[0]

    def _run_on(self, found: Described) -> Described:
        if not self._ec2.user:
            self._keep(user=self._user_of(found))
        for passed in self._clock.ticks(describe.PATIENCE, 2.0):
            if passed:
                found = describe.find_instance(self._account, self._ec2.instance) or found
            if describe.state_of(found) != "stopping":
                break
        if describe.state_of(found) == "stopped":
            what, ids = f"start {self._ec2.instance}", [self._ec2.instance]
            describe.insist(lambda: self._account.change("start_instances", what, InstanceIds=ids), self._clock)
        return describe.wait_running(self._account, self._ec2, self._clock, self._request.progress)

    def _user_of(self, found: Described) -> str:
        images = [each.image for each in self._site.attempts]
        image = next((image for image in images if image.id == found.get("ImageId")), images[0])
        return self._wanted.way.user or image.user

    # A new one.

    def _launched(self) -> Described:
        full: list[tuple[Attempt, NoRoom]] = []
        for attempt in self._in_turn():
            if any(none.rules_out(tried, attempt) for tried, none in full):
                continue
            self._request.progress(f"launching {attempt.image.name} as {_place(attempt)}")
            try:
                described = self._tried(attempt)
            except NoRoom as none:
                self._request.progress(f"{_WORDS[none.reach]} for {_place(attempt)}")
                full.append((attempt, none))
                self._begin_anew()
            else:
                if full:
                    before = ", ".join(dict.fromkeys(_WORDS[none.reach] for _, none in full))
                    self._request.notice(f"launched as {_place(attempt)}: {before} for the choices before it")
                return described
        raise _no_room(full, self._wanted)

    def _in_turn(self) -> Sequence[Attempt]:
        """Return the attempts, beginning with the one that was begun."""
        attempts, first = self._site.attempts, self._begun() or 0
        return attempts[first:] + attempts[:first]

    def _tried(self, attempt: Attempt) -> Described:
        """Launch one and wait until it runs. Raises ``NoRoom``."""
        self._run(attempt)
        return describe.wait_running(self._account, self._ec2, self._clock, self._request.progress)

    def _run(self, attempt: Attempt) -> None:
        """Ask for the instance until EC2 has answered, always for the same one: see ``Ec2.token``."""
        for pause in describe.PAUSES:
            try:
                self._ask(attempt)
            except (ApiError, Unreachable) as error:
                if self._weighed(error):
                    return
            else:
                return
            self._clock.sleep(spread(pause))
        self._ask(attempt)

    def _ask(self, attempt: Attempt) -> None:
        body = self._body(attempt)
        digest = digest_of(body)
        if not self._ec2.token or self._ec2.digest != digest:
            token = uuid.uuid4().hex
            self._keep(token=token, digest=digest, instance="", market=attempt.market, user=self._user(attempt))
        reply = self._account.change("run_instances", "launch an instance", **body, ClientToken=self._ec2.token)
        self._keep(instance=reply["Instances"][0]["InstanceId"], account=str(reply.get("OwnerId", "")))

    def _weighed(self, error: ApiError | Unreachable) -> Described | None:
        """See to what asking again needs, if that is worth it, else raise; return what turned out to be there."""
        if not isinstance(error, ApiError):
            self._request.progress(f"requesting the same instance again: {error.message}")
        elif error_codes.lacks_room(error.code):
            raise NoRoom(error.message, code=error.code) from error
        elif error.code in error_codes.GROUP_GONE and not self._site.groups:
            self._ensure_group()
        elif error.code == error_codes.TOKEN_USED_UP:
            self._begin_anew()
        elif error.code == error_codes.TOKEN_OF_ANOTHER:
            return self._launched_otherwise()
        elif not (error_codes.is_throttled(error) or error_codes.is_lagging(error)):
            raise error
        return None

    def _body(self, attempt: Attempt) -> dict[str, Any]:
        access = self._wanted.access
        key_pair = access.key_pair or (key_pairs.name_of(self._request) if access.import_key else "")
        parts = Parts(self._tags, self._data(self._user(attempt)), self._groups, key_pair)
        return run_body(self._wanted, attempt, parts)

    def _data(self, user: str) -> bytes:
        if user not in self._user_data:
            self._user_data[user] = user_data_of(self._request, self._wanted, user)
        return self._user_data[user]

    def _user(self, attempt: Attempt) -> str:
        return self._wanted.way.user or attempt.image.user

    def _remove_doubles(self) -> None:
        """Terminate what a launch that was given up unanswered may have come to after all."""
        if not self._doubtful:
            return
        for double in describe.find_machine(self._account, self._ec2.id):
            if double["InstanceId"] != self._ec2.instance:
                self._request.notice(f"{double['InstanceId']} was launched before with other options, and is removed")
                describe.insist(partial(terminate, self._account, double["InstanceId"]), self._clock)

    # Its notices.

    def _introduced(self, described: Described) -> Instance:
        host_key = console_key.host_key_if_wanted(
            self._account, self._ec2, progress=self._request.progress, clock=self._clock
        )
        return describe.instance_of(self._ec2, described, proxy=proxy_words(self._ec2), host_key=host_key)

    def _login_key(self) -> str:
        assert self._request.login is not None
        return self._request.login.public_key.strip()

    def _begin_anew(self) -> None:
        self._keep(token="", digest="", instance="")

    def _keep(self, **changes: Any) -> None:
        self._ec2 = self._ec2.with_(**changes)
        self._remember(self._ec2.handle())


def _refuse_another_region(ec2: Ec2, region: str, name: str) -> None:
    if ec2.region != region and (ec2.token or ec2.vpc or ec2.key_pair):
        raise CheckFailed(
            f"machine {name} is half-made in {ec2.region}, but {region} is requested",
            hint=f"give --aws-region {ec2.region}, or `pymachine rm {name}` first",
        )


def _place(attempt: Attempt) -> str:
    return f"{attempt.type} in {attempt.subnet.zone}" + (f" ({attempt.market})" if attempt.market else "")


_WORDS = {
    RefusalScope.PLACE: "no room",
    RefusalScope.SUBNET: "no address left",
    RefusalScope.QUOTA: "the quota is used up",
}


def _no_room(full: Sequence[tuple[Attempt, NoRoom]], wanted: LaunchConfig) -> ApiError:
    """Return one error for all attempts, with what mends each."""
    quota = all(none.reach is RefusalScope.QUOTA for _, none in full)
    first = "the account's quota does not allow the instance:" if quota else "there is no capacity for the instance:"
    hints = [none.hint for _, none in full if none.hint]
    if "spot" in wanted.markets and "" not in wanted.markets:
        hints.append("--aws-spot-fallback uses an on-demand instance in that case")
    lines = (f"{_place(attempt)}: {none.message}" for attempt, none in full)
    return ApiError("\n  ".join((first, *lines)), code=full[-1][1].code, hint="; ".join(dict.fromkeys(hints)) or None)
