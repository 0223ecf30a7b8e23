"""Whether libvirt answers: its own test driver does, and a daemon that is not there does not."""

from __future__ import annotations

import pytest

from pymachine.driver import Health
from pymachine_kvm.driver import KvmDriver
from pymachine_kvm.handle import Vm
from pymachine_kvm.health import health

pytest.importorskip("libvirt")
TEST = "test:///default"


def vm(uri: str) -> Vm:
    return Vm(uri, "0" * 32, "m", "default", "m.qcow2", "m.iso", "52:54:00:00:00:01")


def test_each_daemon_is_asked_once() -> None:
    found = health([vm(TEST).handle(), vm(TEST).handle()], {"LIBVIRT_DEFAULT_URI": TEST}, 10.0)
    assert [one.check for one in found] == [f"libvirt {TEST}", f"virtualisation {TEST}"]
    assert found[0].health is Health.FINE
    assert found[1].health is Health.FAULT  # it promises no hardware
    assert found[1].mend


def test_a_daemon_that_is_not_there_is_a_fault_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "qemu+unix:///system?socket=/nonexistent"
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", TEST)
    found = {one.check: one for one in KvmDriver().health([vm(nowhere).handle()], deadline=10.0)}
    assert found[f"libvirt {TEST}"].health is Health.FINE
    assert found[f"libvirt {nowhere}"].health is Health.FAULT
    assert found[f"libvirt {nowhere}"].mend
