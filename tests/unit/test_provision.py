"""Provision and upgrade: the record says what is on the host, whatever became of the try."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymachine.errors import (
    CheckFailed,
    EngineError,
    HostKeyMismatch,
    Interrupted,
    NoSuchMachine,
    NotSupported,
    StepFailed,
    TlsError,
    Unreachable,
    UsageFault,
)
from pymachine.fleet.plan.renewals import CALLED
from pymachine.model import Endpoint, Phase
from pymachine.provision import Upgrade, preview_provision, preview_upgrade, provision, upgrade
from pymachine.steps.engine import SetUpEngine, Verify
from pymachine.testing.fake_driver import ADDRESS
from pymachine.testing.fake_transport import HOST_KEY, RecordedCall, done
from pymachine.tls.validity import CERTIFICATE_OF, KEY_OF, Part
from pymachine.transport import Result
from unit.world import STEPS_ON_A_HOST, World, is_rollback, is_run


def issuing(part: Part) -> str:
    """What a preview calls a new certificate."""
    return f"issue a new {CALLED[part]}"


BROKEN = done("@pymachine failed starting the engine\n@pymachine error it does not start\n", code=1)
LABELS = {"labels": ("rack=8",)}


class TestProvision:
    def test_sets_the_engine_up_again_over_one_connection(self, world: World) -> None:
        machine = world.made()
        world.engine.version = "27.0.0"
        again = provision("node1", world.tools)

        assert (again.id, again.phase, again.engine_version) == (machine.id, Phase.READY, "27.0.0")
        assert again.certificates == machine.certificates
        assert world.reporter.steps("node1") == STEPS_ON_A_HOST[1:]
        assert (world.host.trips, world.host.closed) == (3, True)
        assert (world.operation().kind, world.operation().outcome) == ("provision", "done")

    def test_changes_what_is_given_and_keeps_the_rest(self, world: World) -> None:
        world.made(opts=("log-driver=none",))
        again = provision("node1", world.tools, spec_changes=LABELS)

        assert (again.engine.labels, again.engine.opts) == (("rack=8",), ("log-driver=none",))
        assert again == world.store.get("node1")
        config = json.loads(world.uploaded("daemon.json"))
        assert "rack=8" in config["labels"]
        assert config["log-driver"] == "none"

    def test_takes_back_what_is_reset(self, world: World) -> None:
        machine = world.made(labels=("rack=7",), storage_driver="overlay2")
        world.carries(machine.id, added={"storage-driver": "overlay2"})
        world.facts["daemon_json"] = json.dumps({"storage-driver": "overlay2"})
        again = provision("node1", world.tools, spec_changes={"labels": (), "storage_driver": None})

        assert (again.engine.labels, again.engine.storage_driver) == ((), None)
        config = json.loads(world.uploaded("daemon.json"))
        assert (config["labels"], "storage-driver" in config) == (["provider=fake"], False)

    def test_moves_the_endpoint_with_the_engines_port(self, world: World) -> None:
        world.made()
        again = provision("node1", world.tools, spec_changes={"port": 2400})
        assert again.endpoint == world.engine.asked[-1][0] == Endpoint(ADDRESS, 2400)

    def test_leaves_an_endpoint_that_the_driver_mapped_elsewhere(self, world: World) -> None:
        world.made()
        world.saved(endpoint=Endpoint("gateway", 12376))
        assert provision("node1", world.tools, spec_changes={"port": 2400}).endpoint == Endpoint("gateway", 12376)

    def test_issues_a_new_server_certificate_for_a_new_name(self, world: World) -> None:
        machine = world.made()
        again = provision("node1", world.tools, spec_changes={"sans": ("docker.example",)})
        assert machine.certificates is not None
        assert again.certificates is not None
        assert "docker.example" in again.certificates.sans
        assert (again.certificates.ca, again.certificates.client) == (
            machine.certificates.ca, machine.certificates.client,
        )  # fmt: skip
        assert again.certificates.server != machine.certificates.server

    def test_replaces_every_certificate_if_asked_to(self, world: World) -> None:
        before = world.made().certificates
        old = world.store.secrets("node1")
        after = provision("node1", world.tools, renew=["ca"]).certificates

        assert before is not None
        assert after is not None
        assert not {before.ca, before.server, before.client} & {after.ca, after.server, after.client}
        secrets = world.store.secrets("node1")
        assert not set(old.values()) & set(secrets.values()), "keys are new too"
        assert world.uploaded("ca.pem") == secrets["ca.pem"]
        assert (world.store.client_folder("node1") / "ca.pem").read_bytes() == secrets["ca.pem"]
        assert provision("node1", world.tools).certificates == after

    @pytest.mark.parametrize("part", ["server", "client"])
    def test_issues_one_certificate_again_and_keeps_the_authority(self, part: Part, world: World) -> None:
        world.made()
        old = world.store.secrets("node1")
        provision("node1", world.tools, renew=[part])

        new = world.store.secrets("node1")
        assert {name for name in new if new[name] != old.get(name)} == {CERTIFICATE_OF[part], KEY_OF[part]}
        assert world.uploaded("server.pem") == new["server.pem"]

    def test_that_fails_with_new_certificates_takes_them_to_the_host_the_next_time(self, world: World) -> None:
        before = world.made().certificates
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            provision("node1", world.tools, renew=["ca"])
        assert world.store.get("node1").certificates == before, "the engine was put back"
        sent = world.uploaded("ca.pem")
        assert (world.store.materialise("node1") / "ca.pem").read_bytes() != sent
        world.answers.clear()
        assert provision("node1", world.tools).certificates != before
        assert world.store.secrets("node1")["ca.pem"] == sent == world.uploaded("ca.pem")

    def test_finishes_what_create_left_half_made(self, world: World) -> None:
        world.made()
        world.saved(phase=Phase.REACHABLE)
        assert provision("node1", world.tools).phase is Phase.READY


class TestFailedChange:
    """Options that did not get onto the host do not get onto the record."""

    def test_a_set_up_that_fails_leaves_the_former_options(self, world: World) -> None:
        machine = world.made()
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed) as caught:
            provision("node1", world.tools, spec_changes={**LABELS, "port": 2400})

        stored = world.store.get("node1")
        assert (stored.engine, stored.endpoint, stored.phase) == (machine.engine, machine.endpoint, Phase.READY)
        assert stored.fault is not None
        assert (stored.fault.verb, stored.fault.step) == ("provision", SetUpEngine.title)
        assert "on record" in (caught.value.hint or "")

    def test_a_repeat_without_options_puts_the_former_ones_up(self, world: World) -> None:
        machine = world.made(opts=("log-driver=none",))
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed):
            provision("node1", world.tools, spec_changes=LABELS)
        world.answers.clear()

        again = provision("node1", world.tools)
        assert (again.engine, again.fault) == (machine.engine, None)
        assert "rack=8" not in world.uploaded("daemon.json").decode()

    def test_an_engine_that_breaks_is_put_back_and_so_is_the_record(self, world: World) -> None:
        machine = world.made()
        world.engine.errors.append(TlsError("bad"))
        with pytest.raises(StepFailed):
            provision("node1", world.tools, spec_changes={**LABELS, "port": 2400})
        stored = world.store.get("node1")
        assert (stored.engine, stored.endpoint) == (machine.engine, machine.endpoint)
        assert world.ran(is_rollback) == 1

    def test_an_engine_that_runs_behind_a_blocked_port_has_the_new_options(self, world: World) -> None:
        world.made()
        world.engine.errors.append(Unreachable("no answer"))
        world.answer(is_run, self._listening(world, 2400))
        with pytest.raises(StepFailed, match=Verify.title) as caught:
            provision("node1", world.tools, spec_changes={"port": 2400})
        stored = world.store.get("node1")
        assert (stored.engine.port, stored.endpoint) == (2400, Endpoint(ADDRESS, 2400))
        assert "on record" not in (caught.value.hint or "")

    def test_a_host_that_does_not_answer_leaves_the_former_options(self, world: World) -> None:
        machine = world.made()
        world.refused.append(Unreachable("no answer"))
        with pytest.raises(StepFailed):
            provision("node1", world.tools, spec_changes=LABELS)
        assert world.store.get("node1").engine == machine.engine

    def test_ctrl_c_during_the_set_up_leaves_the_former_options(self, world: World) -> None:
        machine = world.made()

        def stop(_: RecordedCall) -> Result:
            raise KeyboardInterrupt

        world.answer(is_run, stop)
        with pytest.raises(Interrupted) as caught:
            provision("node1", world.tools, spec_changes=LABELS)
        assert world.store.get("node1").engine == machine.engine
        assert caught.value.hint

    def test_one_that_was_killed_is_told_of_once_by_the_next(self, world: World) -> None:
        world.made()
        world.answer(is_run, MemoryError("as near to kill -9 as a test gets"))
        with pytest.raises(MemoryError):
            provision("node1", world.tools, spec_changes={"opts": ("log-driver=none",), **LABELS})
        world.answers.clear()

        provision("node1", world.tools)
        told = [text for text in world.reporter.notices("node1") if "interrupted" in text]
        assert len(told) == 1
        assert "labels, opts" in told[0]
        provision("node1", world.tools)
        assert [text for text in world.reporter.notices("node1") if "interrupted" in text] == told

    @staticmethod
    def _listening(world: World, port: int) -> Callable[[RecordedCall], Result]:
        def answer(_: RecordedCall) -> Result:
            world.listens(port)
            return done("@pymachine done engine=1\n")

        return answer


class TestHostKey:
    NEW = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

    def test_that_is_given_replaces_the_pinned_one(self, world: World) -> None:
        world.made()
        world.host_key = HOST_KEY.replace("IAAA", "IBBB")
        again = provision("node1", world.tools, host_key=self.NEW)
        assert again.ssh is not None
        assert again.ssh.host_key == world.host_key
        assert world.pins == [self.NEW]

    def test_of_another_host_is_a_fault_that_keeps_the_pinned_one(self, world: World) -> None:
        machine = world.made()
        world.refused.append(HostKeyMismatch("another key"))
        with pytest.raises(StepFailed, match="another key"):
            provision("node1", world.tools, host_key=self.NEW)
        assert world.store.get("node1").ssh == machine.ssh


class TestRefusal:
    def test_is_no_fault_of_the_machine(self, world: World) -> None:
        machine = world.made()
        world.skew = 86_400.0
        with pytest.raises(CheckFailed, match="clock"):
            provision("node1", world.tools, spec_changes=LABELS)
        stored = world.store.get("node1")
        assert (stored.fault, stored.engine, stored.phase) == (None, machine.engine, Phase.READY)
        assert world.operation().outcome == "failed"
        assert world.ran(is_run) == 0

    def test_of_options_against_those_on_record_comes_before_any_connection(self, world: World) -> None:
        world.made(opts=("storage-driver=overlay2",))
        for verb in (provision, preview_provision):
            with pytest.raises(UsageFault, match="contradicts"):
                verb("node1", world.tools, spec_changes={"storage_driver": "btrfs"})
        assert world.connections == []

    def test_of_an_engine_without_a_host(self, tmp_path: Path) -> None:
        world = World(tmp_path, with_host=False)
        world.made()
        for verb in (provision, upgrade, preview_provision, preview_upgrade):
            with pytest.raises(NotSupported, match="no host"):
                verb("node1", world.tools)

    def test_of_a_machine_that_has_no_host_yet(self, world: World) -> None:
        world.made()
        world.saved(phase=Phase.REQUESTED, ssh=None)
        with pytest.raises(CheckFailed, match=r"not ready \(requested\)") as caught:
            provision("node1", world.tools)
        assert "create command" in (caught.value.hint or "")

    def test_of_a_machine_that_is_being_removed(self, world: World) -> None:
        world.made()
        world.saved(phase=Phase.REMOVING)
        for verb in (provision, upgrade):
            with pytest.raises(CheckFailed, match=r"not ready \(removing\)") as caught:
                verb("node1", world.tools)
            assert "`pymachine rm node1`" in (caught.value.hint or "")

    def test_of_an_unknown_name(self, world: World) -> None:
        with pytest.raises(NoSuchMachine):
            provision("node1", world.tools)


class TestUpgrade:
    def test_runs_once_and_says_what_answers_then(self, world: World) -> None:
        world.made()
        world.engine.version = "27.0.0"
        machine = upgrade("node1", world.tools)
        assert (machine.engine_version, machine.engine.version) == ("27.0.0", None)
        assert (world.ran(is_run), world.host.trips) == (1, 3)
        assert world.uploaded("upgrade.sh")

    def test_remembers_a_version_that_was_asked_for(self, world: World) -> None:
        world.made()
        assert upgrade("node1", world.tools, version="27.0").engine.version == "27.0"
        assert world.store.get("node1").engine.version == "27.0"

    def test_forgets_a_version_that_did_not_come(self, world: World) -> None:
        world.made()
        world.answer(is_run, BROKEN)
        with pytest.raises(StepFailed, match=Upgrade.title):
            upgrade("node1", world.tools, version="27.0")
        assert world.store.get("node1").engine.version is None

    def test_refuses_a_downgrade(self, world: World) -> None:
        world.made()
        with pytest.raises(CheckFailed, match="downgrade"):
            upgrade("node1", world.tools, version="20.10")
        assert (world.ran(is_run), world.store.get("node1").fault) == (0, None)

    @pytest.mark.parametrize("phase", [Phase.ALLOCATED, Phase.REACHABLE, Phase.ENGINE])
    def test_refuses_a_machine_that_is_not_ready(self, phase: Phase, world: World) -> None:
        world.made()
        world.saved(phase=phase)
        with pytest.raises(CheckFailed, match=f"not ready \\({phase}\\)"):
            upgrade("node1", world.tools)
        assert world.connections == []

    @pytest.mark.parametrize("error", [TlsError("bad"), EngineError("nonsense"), Unreachable("no answer")])
    def test_whose_engine_does_not_answer_leaves_the_configuration_alone(
        self, error: Unreachable, world: World
    ) -> None:
        world.made()
        world.engine.errors.append(error)
        with pytest.raises(StepFailed, match=error.message):
            upgrade("node1", world.tools)
        assert world.ran(is_rollback) == 0, "that would put back what was there before the set-up"


class TestDryRun:
    def test_of_provision_says_what_would_change(self, world: World) -> None:
        machine = world.made()
        preview = preview_provision("node1", world.tools, spec_changes=LABELS)
        assert any("labels" in change.what for change in preview.changes)
        assert world.store.get("node1") == machine
        assert (world.host.trips, world.host.closed, len(world.store.operations())) == (1, True, 1)

    def test_of_provision_without_a_difference_says_nothing_of_certificates(self, world: World) -> None:
        world.made()
        assert not any("certificate" in what for what in self._provisioned(world))

    def test_of_provision_tells_of_a_new_server_certificate_and_the_restart(self, world: World) -> None:
        world.made()
        changes = self._provisioned(world, spec_changes={"sans": ("docker.example",)})
        assert "docker.example" in changes[issuing("server")]
        assert list(changes)[-1].startswith("restart ")
        assert issuing("client") not in changes

    def test_of_provision_tells_of_certificates_that_are_due(self, world: World) -> None:
        world.made()
        world.clock.seconds += 300 * 86_400
        changes = self._provisioned(world)
        assert changes[issuing("client")].startswith("expires on ")
        assert issuing("server") in changes
        assert issuing("ca") not in changes

    def test_of_provision_tells_of_certificates_that_were_damaged(self, world: World) -> None:
        machine = world.made()
        world.store.put(machine, secrets={"ca.pem": b"nonsense"})
        changes = self._provisioned(world)
        assert issuing("ca") in changes

    def test_of_new_certificates_tells_of_all_three(self, world: World) -> None:
        machine = world.made()
        changes = self._provisioned(world, renew=["ca"])
        issued = [what for what, why in changes.items() if why == "as requested" and "issue" in what]
        assert len(issued) == 3
        assert any(what.startswith("restart ") for what in changes)
        assert world.store.get("node1") == machine

    @staticmethod
    def _provisioned(world: World, **options: Any) -> dict[str, str]:
        return {change.what: change.why for change in preview_provision("node1", world.tools, **options).changes}

    def test_of_upgrade_says_what_would_change(self, world: World) -> None:
        machine = world.made()
        preview = preview_upgrade("node1", world.tools, version="27.0")
        assert "27.0" in preview.changes[0].what
        assert world.store.get("node1") == machine
        assert (world.host.trips, world.host.closed, len(world.store.operations())) == (1, True, 1)
