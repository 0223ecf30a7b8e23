"""The suite that every driver passes, ours and anybody's.

Subclass ``DriverContract`` in a test module, name the class ``Test…``, and define how to make the driver, its
options, and where to count what it made. pytest then collects one test for each promise of
``pymachine.driver.Driver``::

    class TestPool(DriverContract):
        def driver(self): return PoolDriver()
        def options(self): return PoolOptions(pool_file=self.file)
        def count(self): return len(taken(self.file))
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from typing import Any

from pymachine.driver import (
    API,
    Adopts,
    Alters,
    AuthorisesKey,
    Driver,
    FindsLeftovers,
    Handle,
    InspectsTogether,
    Instance,
    Interconnects,
    Leftover,
    Locates,
    Login,
    NodePort,
    PlannedInstance,
    PlansBeforeBoot,
    PowerControl,
    Remember,
    Request,
    Resizes,
    Search,
    TracksAddress,
    UpdatesInPlace,
)
from pymachine.errors import CheckFailed, UsageFault
from pymachine.model import State

# Keys that open nothing; drivers only carry them.
LOGIN = Login("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB", b"a private key")
OWNER = "c0" * 16  # a store that is none
LIMIT = 120.0  # seconds: what takes longer than this in spite of a deadline of 1 s is not slow, it does not keep it


class Killed(BaseException):
    """The process is gone: what catches errors must not catch this."""


class DriverContract:
    """Promises that the core relies on. Override the first group; the rest are the tests."""

    def driver(self) -> Driver:
        """Return a driver, ready to work in this test's own world."""
        raise AssertionError("override driver()")

    def options(self) -> Any:
        """Return options with which ``create`` succeeds."""
        raise AssertionError("override options()")

    def count(self) -> int:
        """Return how many instances exist in this test's own world."""
        raise AssertionError("override count()")

    def bad_options(self) -> Any | None:
        """Return options that ``check`` must refuse, or None where any options are good."""
        return None

    def request(self, resume: Mapping[str, Any] | None = None) -> Request:
        """Return the order that the tests give."""
        return Request("contract1", "0" * 32, self.options(), 2376, resume, owner=OWNER)

    def foreseen(self, prospect: PlannedInstance) -> None:
        """Prepare the test's world for an instance that is about to boot; needed only by drivers that foresee."""

    def create(self, driver: Driver, resume: Mapping[str, Any] | None = None) -> tuple[Instance, list[Any]]:
        """Create as the core does, and return the instance with every handle that was remembered on the way."""
        return self.made(driver, self.request(resume))

    def made(self, driver: Driver, request: Request, remember: Remember | None = None) -> tuple[Instance, list[Any]]:
        """Do the same for any request; somebody else may do the remembering."""
        remembered: list[Any] = []
        remember = remember or (lambda handle: remembered.append(dict(handle)))
        if isinstance(driver, PlansBeforeBoot):
            prospect = driver.foresee(request, remember)
            self.foreseen(prospect)
            request = replace(request, resume=prospect.handle, login=LOGIN)
        elif isinstance(driver, AuthorisesKey) and driver.authorises_key:
            request = replace(request, login=Login(LOGIN.public_key, "", b""))
        return driver.create(request, remember), remembered

    def test_names_the_seam_it_was_written_for(self) -> None:
        assert self.driver().api == API, f"api must be {API}"

    def test_describes_every_option(self) -> None:
        options = self.driver().options
        assert is_dataclass(options), "options must be a dataclass"
        for field in fields(options):
            described = field.metadata.get("help") or field.metadata.get("refused")
            assert described, f"option {field.name} needs metadata from driver.option() or driver.refused()"

    def test_can_do_what_it_says_of_changed_options(self) -> None:
        driver = self.driver()
        if not isinstance(driver, Alters):
            return
        known = {field.name for field in fields(driver.options)}
        needed: dict[str, type] = {**dict.fromkeys(("cpus", "memory", "disk"), Resizes), "refit": UpdatesInPlace}
        needed["reach"] = needed["move"] = Locates
        for name, meaning in driver.alters.items():
            assert name in known, f"alters names {name}, which is not an option"
            assert meaning == "record" or meaning in needed, f"no change of an option is {meaning!r}"
            assert isinstance(driver, needed.get(meaning, object)), f"{name}: {meaning} needs {needed.get(meaning)}"

    def test_check_accepts_good_options_and_makes_nothing(self) -> None:
        before = self.count()
        self.driver().check(self.request())
        assert self.count() == before, "check must not make anything"

    def test_check_refuses_bad_options_with_a_hint(self) -> None:
        bad = self.bad_options()
        if bad is None:
            return
        try:
            self.driver().check(Request("contract1", "0" * 32, bad, 2376))
        except (UsageFault, CheckFailed) as error:
            assert error.message, "the refusal must say what is wrong"
            assert error.hint, "the refusal must say what to do"
        else:
            raise AssertionError("check must refuse these options")

    def test_remembers_before_it_returns(self) -> None:
        driver = self.driver()
        instance, remembered = self.create(driver)
        assert remembered, "remember must be called as soon as anything exists"
        assert dict(instance.handle) == remembered[-1], "the last remembered handle must be the instance's"
        driver.destroy(instance.handle)

    def test_handles_survive_a_round_trip_through_json(self) -> None:
        driver = self.driver()
        instance, remembered = self.create(driver)
        for handle in remembered:
            assert json.loads(json.dumps(handle)) == handle, "handles must be plain JSON values"
        driver.destroy(json.loads(json.dumps(dict(instance.handle))))

    def test_goes_on_with_what_exists_instead_of_making_a_second(self) -> None:
        driver = self.driver()
        before = self.count()
        _, remembered = self.create(driver)
        made = self.count()
        instance, _ = self.create(self.driver(), resume=remembered[-1])
        assert self.count() == made, "create must continue with the remembered handle"
        driver.destroy(instance.handle)
        assert self.count() == before, "destroy must leave nothing"

    def test_goes_on_wherever_it_was_cut_off(self) -> None:
        before = self.count()
        for saved in range(1, len(self._every_handle())):
            handles = self._cut_off(saved)
            instance, _ = self.create(self.driver(), resume=handles[-1])
            assert self.count() == before + 1, f"cut off after remembered handle {saved}, it made another one"
            self.driver().destroy(instance.handle)
            assert self.count() == before, "destroy must leave nothing"

    def test_makes_nothing_before_that_is_remembered(self) -> None:
        before = self.count()
        self._cut_off(0)
        assert self.count() == before, "what exists before it is remembered is lost when the process dies in between"

    def test_inspects_what_it_made(self) -> None:
        driver = self.driver()
        instance, _ = self.create(driver)
        status = driver.inspect(instance.handle, deadline=10.0)
        assert isinstance(status.state, State), "inspect must return a Status with a State"
        assert status.state is not State.MISSING, "what was just made is not missing"
        driver.destroy(instance.handle)

    def test_inspects_within_its_deadline(self) -> None:
        driver = self.driver()
        instance, _ = self.create(driver)
        began = time.monotonic()
        driver.inspect(instance.handle, deadline=1.0)
        assert time.monotonic() - began < LIMIT, "inspect must keep its deadline"
        driver.destroy(instance.handle)

    def test_destroys_twice_without_complaint(self) -> None:
        driver = self.driver()
        before = self.count()
        instance, _ = self.create(driver)
        driver.destroy(instance.handle)
        driver.destroy(instance.handle)
        assert self.count() == before, "destroy must leave nothing"

    def test_destroys_by_any_handle_it_remembered(self) -> None:
        before = self.count()
        for index in range(len(self._every_handle())):
            driver = self.driver()
            _, remembered = self.create(driver)
            driver.destroy(remembered[index])
            assert self.count() == before, f"remembered handle {index} does not lead to the whole instance"

    def test_says_that_what_is_gone_is_missing(self) -> None:
        driver = self.driver()
        instance, _ = self.create(driver)
        driver.destroy(instance.handle)
        if not driver.preexisting:
            status = driver.inspect(instance.handle, deadline=5.0)
            assert status.state is State.MISSING, f"a destroyed instance is missing, not {status.state}"

    def test_switches_off_and_on_if_it_says_that_it_can(self) -> None:
        driver = self.driver()
        if not isinstance(driver, PowerControl):
            return
        instance, _ = self.create(driver)
        driver.stop(instance.handle)
        assert driver.inspect(instance.handle, deadline=10.0).state is State.STOPPED
        driver.start(instance.handle)
        assert driver.inspect(instance.handle, deadline=10.0).state is State.RUNNING
        driver.kill(instance.handle)
        assert driver.inspect(instance.handle, deadline=10.0).state is State.STOPPED
        driver.destroy(instance.handle)

    def test_sees_of_many_what_it_sees_of_one(self) -> None:
        driver = self.driver()
        if not isinstance(driver, InspectsTogether):
            return
        one, _ = self.create(driver)
        other, _ = self.made(driver, replace(self.request(), name="contract2", machine_id="1" * 32))
        driver.destroy(one.handle)
        handles = (other.handle, one.handle, other.handle)
        # What is being destroyed may be gone a moment later: seen together is what was so just before, or just after.
        before = [driver.inspect(handle, deadline=10.0) for handle in handles]
        together = list(driver.inspect_all(handles, deadline=10.0))
        after = [driver.inspect(handle, deadline=10.0) for handle in handles]
        assert len(together) == len(handles), "one status for each handle, also where two are the same"
        for seen, *alone in zip(together, before, after, strict=True):
            assert seen in alone, "as inspect, in their order"
        assert list(driver.inspect_all((), deadline=10.0)) == [], "nothing is seen of nothing"
        driver.destroy(other.handle)

    def test_sees_many_within_its_deadline(self) -> None:
        driver = self.driver()
        if not isinstance(driver, InspectsTogether):
            return
        instance, _ = self.create(driver)
        began = time.monotonic()
        driver.inspect_all((instance.handle,), deadline=1.0)
        assert time.monotonic() - began < LIMIT, "inspect_all must keep its deadline"
        driver.destroy(instance.handle)

    def test_finds_what_it_made_where_it_made_it(self) -> None:
        driver = self.driver()
        if not isinstance(driver, TracksAddress):
            return
        made, _ = self.create(driver)
        found = driver.whereabouts(made.handle)
        assert dict(found.handle) == dict(made.handle), "whereabouts must keep the handle"
        assert _place(found) == _place(made), "whereabouts must agree with create while nothing has moved"
        driver.destroy(made.handle)

    def test_what_it_adopts_is_there_before_and_after(self) -> None:
        driver = self.driver()
        if isinstance(driver, Adopts):
            assert driver.adopting().preexisting, "the core must look at the host first, and leave it at the end"

    def test_counts_no_machine_that_is_known_as_left_over(self) -> None:
        driver = self.driver()
        if not isinstance(driver, FindsLeftovers):
            return
        before = _ids(self._left(driver, {}))
        request = self.request()
        instance, _ = self.made(driver, request)
        assert _ids(self._left(driver, {request.machine_id: instance.handle})) == before
        assert _ids(self._left(driver, {request.machine_id: {}})) == before, "a machine without a handle is known too"
        driver.destroy(instance.handle)
        assert _ids(self._left(driver, {})) == before, "destroy must leave nothing"

    def test_finds_and_discards_what_nobody_knows(self) -> None:
        driver = self.driver()
        if not isinstance(driver, FindsLeftovers):
            return
        before = _ids(self._left(driver, {}))
        count = self.count()
        instance, _ = self.create(driver)
        found = [leftover for leftover in self._left(driver, {}) if (leftover.kind, leftover.id) not in before]
        assert found, "an instance that nobody knows is left over"
        assert all(leftover.ours for leftover in found), "it is the store's that had it made"
        for leftover in (*found, *found):
            driver.discard(leftover)
        assert self.count() == count, "discarding must leave nothing"
        driver.destroy(instance.handle)

    def test_counts_nothing_that_was_adopted_as_left_over(self) -> None:
        driver = self.driver()
        if not (isinstance(driver, FindsLeftovers) and isinstance(driver, Adopts)):
            return
        before = _ids(self._left(driver, {}))
        made, _ = self.create(driver)
        lost = [left for left in self._left(driver, {}) if (left.kind, left.id) not in before]
        instance = next(left.id for left in lost if left.kind == "instance")
        request = replace(self.request(), name="contract2", machine_id="1" * 32, adopted=instance)
        adopted, _ = self.made(driver.adopting(), request)
        known = {request.machine_id: adopted.handle}
        assert ("instance", instance) not in _ids(self._left(driver, known)), "it is the other machine's now"
        driver.adopting().destroy(adopted.handle)
        assert ("instance", instance) in _ids(self._left(driver, {})), "an adopted instance outlives its machine"
        driver.destroy(made.handle)

    def test_opens_ways_between_neighbours_if_it_says_that_it_can(self) -> None:
        driver = self.driver()
        if not isinstance(driver, Interconnects):
            return
        before = self.count()
        one, _ = self.create(driver)
        other, _ = self.made(driver, replace(self.request(), name="contract2", machine_id="1" * 32))
        for instance in (one, other, one):
            driver.interconnect(instance.handle, (NodePort("tcp", 2377), NodePort("udp", 4789), NodePort("esp")))
        driver.destroy(one.handle)
        driver.destroy(other.handle)
        assert self.count() == before, "what is open between instances must not keep them"

    def _left(self, driver: FindsLeftovers, known: Mapping[str, Handle]) -> list[Leftover]:
        return list(driver.leftovers(Search(self.options(), self.request().owner, known)))

    def _cut_off(self, saved: int) -> list[Any]:
        """Create, and be killed when one more handle than these was about to be saved."""
        driver, handles = self.driver(), list[Any]()

        def remember(handle: Mapping[str, Any]) -> None:
            if len(handles) == saved:
                raise Killed
            handles.append(dict(handle))

        with suppress(Killed):
            self.made(driver, self.request(), remember)
        return handles

    def _every_handle(self) -> list[Any]:
        driver = self.driver()
        instance, remembered = self.create(driver)
        driver.destroy(instance.handle)
        return remembered


def _place(instance: Instance) -> tuple[Any, ...]:
    ssh = instance.ssh
    login = (ssh.host, ssh.port, ssh.user, ssh.proxy) if ssh else ()
    return (*login, instance.endpoint, set(instance.addresses), instance.own_key)


def _ids(leftovers: list[Leftover]) -> set[tuple[str, str]]:
    return {(leftover.kind, leftover.id) for leftover in leftovers}
