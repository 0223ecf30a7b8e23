"""docker-machine's engine flags become the daemon.json keys that mean the same."""

from typing import Any

import pytest

from pymachine.engine.options import key_of_flag, wanted_config
from pymachine.errors import UsageFault, ValueFault
from pymachine.model import EngineSpec


@pytest.mark.parametrize(
    ("opt", "expected"),
    [
        ("log-driver=none", {"log-driver": "none"}),
        ("--log-driver=none", {"log-driver": "none"}),
        ("debug", {"debug": True}),
        ("debug=false", {"debug": False}),
        ("D", {"debug": True}),
        ("userland-proxy=false", {"userland-proxy": False}),
        ("mtu=1450", {"mtu": 1450}),
        ("dns=1.1.1.1", {"dns": ["1.1.1.1"]}),
        ("insecure-registry=r:5000", {"insecure-registries": ["r:5000"]}),
        ("storage-opt=size=1G", {"storage-opts": ["size=1G"]}),
        ("log-opt=max-file=3", {"log-opts": {"max-file": "3"}}),
        ("default-ulimit=nofile=1:2", {"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 1, "Hard": 2}}}),
        ("add-runtime=kata=/usr/bin/kata", {"runtimes": {"kata": {"path": "/usr/bin/kata"}}}),
        ("default-address-pool=base=10.1.0.0/16,size=24",
         {"default-address-pools": [{"base": "10.1.0.0/16", "size": 24}]}),
        ("feature=containerd-snapshotter=true", {"features": {"containerd-snapshotter": True}}),
    ],
)  # fmt: skip
def test_a_flag_becomes_its_key(opt: str, expected: dict[str, Any]) -> None:
    wanted = wanted_config(EngineSpec(opts=(opt,)), "ssh")
    del wanted["labels"]

    assert wanted == expected


def test_repeated_flags_become_a_list() -> None:
    wanted = wanted_config(EngineSpec(opts=("dns=1.1.1.1", "dns=9.9.9.9")), "ssh")

    assert wanted["dns"] == ["1.1.1.1", "9.9.9.9"]


def test_every_host_says_which_driver_made_it() -> None:
    assert wanted_config(EngineSpec(labels=("a=b",)), "ssh")["labels"] == ["a=b", "provider=ssh"]
    assert wanted_config(EngineSpec(labels=("provider=me",)), "ssh")["labels"] == ["provider=me"]


def test_log_opts_of_a_config_file_become_strings() -> None:
    spec = EngineSpec(config={"log-opts": {"max-file": 3, "compress": True}})

    assert wanted_config(spec, "ssh")["log-opts"] == {"max-file": "3", "compress": "true"}


@pytest.mark.parametrize("opt", ["host=tcp://x", "tlsverify", "tlscacert=/x", "tls=false"])
def test_what_pymachine_sets_itself_is_refused(opt: str) -> None:
    with pytest.raises(UsageFault, match="pymachine itself"):
        wanted_config(EngineSpec(opts=(opt,)), "ssh")


@pytest.mark.parametrize("opt", ["", "=x", "a b=c", "log-driver", "mtu=big", "debug=maybe", "log-opt=x",
                                 "default-address-pool=base=1"])  # fmt: skip
def test_an_option_that_makes_no_sense_is_refused(opt: str) -> None:
    with pytest.raises(ValueFault) as raised:
        wanted_config(EngineSpec(opts=("debug", opt)), "ssh")
    assert (raised.value.field, raised.value.index, raised.value.value) == ("opts", 1, opt)


@pytest.mark.parametrize(
    ("spec", "field", "index"),
    [
        (EngineSpec(config={"mtu": 1400}, opts=("debug", "mtu=1450")), "opts", 1),
        (EngineSpec(config={"storage-driver": "btrfs"}, storage_driver="overlay2"), "storage_driver", None),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other_are_refused(spec: EngineSpec, field: str, index: int | None) -> None:
    with pytest.raises(ValueFault, match="contradicts") as raised:
        wanted_config(spec, "ssh")
    assert (raised.value.field, raised.value.index) == (field, index)


def test_flags_and_keys_that_mean_the_same_are_known() -> None:
    assert [key_of_flag(flag) for flag in ("label", "log-opt", "debug")] == ["labels", "log-opts", "debug"]
