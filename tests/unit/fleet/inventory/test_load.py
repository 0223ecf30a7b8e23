"""What a right inventory comes to: defaults, ranges, overrides, variables, several files."""

from __future__ import annotations

import pytest

from pymachine.fleet.inventory import NodeSpec, SwarmSpec, YamlFile, load
from pymachine.model import EngineSpec
from unit.inventories import Files, faults, fleet, machines, surroundings

FILES = Files(
    {"/inv/shop/c.yaml": "", "/inv/m.yaml": "", "/inv/e.env": "", "/inv/p": "", "/inv/i.sh": "echo"}, {"/inv/p"}
)


def test_a_whole_inventory() -> None:
    found = fleet(
        """
        fleet: shop
        defaults: {driver: cloud, engine: {install: distro, labels: {env: prod}}}
        machines:
          - name: mgr-{1..3}
            swarm: manager
            cloud: {price: 2}
          - name: db
            driver: ssh
            ssh: {host: 10.0.0.7, user: ops, jump: bastion.example.org}
        swarm: {autolock: true, address_pool: 10.80.0.0/16, certificate_life: 90d}
        stacks:
          - {name: shop, file: shop/c.yaml}
          - {name: metrics, file: [m.yaml], on: db, env_file: e.env, environment: {A: 1}, build: no, prune: false}
        hooks: {after_create: ./p}
        """,
        around=surroundings(files=FILES),
    )
    assert (found.name, found.folder) == ("shop", "/inv")
    assert [machine.name for machine in found.machines] == ["mgr-1", "mgr-2", "mgr-3", "db"]
    assert [machine.order for machine in found.machines] == [0, 1, 2, 3]
    assert found.managers == found.machines[:3]
    first, db = found.machines[0], found.machines[3]
    assert (first.driver, first.options, first.swarm) == ("cloud", {"cloud_price": 2.0}, NodeSpec("manager"))
    assert first.engine == EngineSpec(install="distro", labels=("env=prod",))
    assert first.groups == ("mgr-{1..3}", "manager")
    assert db.options == {"ssh_host": "10.0.0.7", "ssh_user": "ops", "ssh_jump": "bastion.example.org"}
    assert (db.swarm, db.groups) == (None, ())
    assert found.swarm == SwarmSpec(True, ("10.80.0.0/16",), certificate_life=90 * 86400)
    shop, metrics = found.stacks
    assert (shop.files, shop.on, shop.build, shop.prune) == (("/inv/shop/c.yaml",), None, True, True)
    assert (metrics.on, metrics.env_files, metrics.environment) == ("db", ("/inv/e.env",), {"A": "1"})
    assert (metrics.build, metrics.prune) == (False, False)
    assert found.hooks == {"after_create": "/inv/p"}


def test_every_key_of_the_engine() -> None:
    (machine,) = machines(
        """
        - name: n
          engine:
            install: ./i.sh
            version: 28.10
            channel: test
            repo_url: https://m.example.org
            port: 2377
            labels: [a=b]
            env: [X=y=z]
            daemon: {debug: true, mtu: 1400, log-opts: {max-file: 3}}
            opts: {log-driver: local}
            registry_mirrors: https://m.example.org
            insecure_registries: [10.0.0.0/8, "r:5000"]
            storage_driver: overlay2
            http_proxy: http://p:3128
            https_proxy: http://p:3128
            no_proxy: "a,b"
            tls_sans: ["*.example.org"]
            set_hostname: false
        """,
        surroundings(files=FILES),
    ).machines
    assert machine.engine == EngineSpec(
        install="script:i.sh", install_script="echo", version="28.10", channel="test",
        repo_url="https://m.example.org", port=2377, opts=("log-driver=local",), labels=("a=b",), env=("X=y=z",),
        insecure_registries=("10.0.0.0/8", "r:5000"), registry_mirrors=("https://m.example.org",),
        storage_driver="overlay2", config={"debug": True, "mtu": 1400, "log-opts": {"max-file": 3}},
        http_proxy="http://p:3128", https_proxy="http://p:3128", no_proxy=("a", "b"), sans=("*.example.org",),
        set_hostname=False,
    )  # fmt: skip


def test_options_are_values_of_the_drivers_fields() -> None:
    (machine,) = machines("- {name: n, fake: {size: 3, zone: west, tags: a, spot: yes, account: 007}}").machines
    assert machine.options == {
        "fake_size": 3, "fake_zone": "west", "fake_tags": ("a",), "fake_spot": True, "fake_account": "007",
    }  # fmt: skip


def test_an_option_that_names_a_file_is_relative_to_its_inventory() -> None:
    text = "fleet: f\nmachines: [{name: n, driver: cloud, cloud: {key: keys/id}}]\n"
    found = load([YamlFile("sub/f.yaml", text)], surroundings()).fleet
    assert found.machines[0].options == {"cloud_key": "/inv/sub/keys/id"}


@pytest.mark.parametrize(("driver", "section"), [("generic", "ssh"), ("ssh", "generic"), ("generic", "generic")])
def test_an_alias_of_a_driver_is_the_driver(driver: str, section: str) -> None:
    (machine,) = machines(f"- {{name: n, driver: {driver}, {section}: {{host: h}}}}").machines
    assert (machine.driver, machine.options) == (driver, {"ssh_host": "h"})


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("n", ["n"]),
        ("n{1..3}", ["n1", "n2", "n3"]),
        ("n-{08..11}", ["n-08", "n-09", "n-10", "n-11"]),
        ("n{9..10}", ["n9", "n10"]),
        ("{eu,us}-{1..2}", ["eu-1", "eu-2", "us-1", "us-2"]),
        ("n{,-b}", ["n", "n-b"]),
    ],
)
def test_braces_in_a_name_are_several_machines(name: str, names: list[str]) -> None:
    assert [machine.name for machine in machines(f"- name: '{name}'").machines] == names


def test_braces_in_values_are_expanded_in_step_with_the_name() -> None:
    found = machines(
        """
        - name: n-{1..2}
          fake: {address: "10.0.0.{11..12}", size: "{5,6}"}
          labels: {rack: "r{a,b}", plain: x}
          swarm: {role: "{manager,none}"}
        """
    ).machines
    assert [machine.options for machine in found] == [
        {"fake_address": "10.0.0.11", "fake_size": 5}, {"fake_address": "10.0.0.12", "fake_size": 6},
    ]  # fmt: skip
    assert [machine.labels["rack"] for machine in found] == ["ra", "rb"]
    assert [machine.swarm and machine.swarm.role for machine in found] == ["manager", None]


@pytest.mark.parametrize("text", ["{{.Name}}", '{"a":1,"b":2}', "{a}", "{}", "{1..x}", "{a, b}"])
def test_other_braces_are_text(text: str) -> None:
    (machine,) = machines(f"- name: n\n  labels: {{a: '{text}'}}\n").machines
    assert machine.labels == {"a": text}


def test_braces_in_daemon_json_are_left_alone() -> None:
    (machine,) = machines("- name: n\n  engine: {daemon: {log-opts: {tag: '{a,b}'}}}\n").machines
    assert machine.engine.config == {"log-opts": {"tag": "{a,b}"}}


def test_an_entry_overrides_defaults_and_an_override_the_entry() -> None:
    found = fleet(
        """
        fleet: f
        defaults:
          driver: fake
          labels: {a: "1", b: "1"}
          fake: {zone: west, tags: [x, y]}
          engine: {daemon: {debug: true, mtu: 1400}}
        machines:
          - name: n{1..3}
            labels: {b: "2"}
            fake: {tags: [z]}
            overrides:
              n2: {labels: {b: "3"}, engine: {daemon: {mtu: 1450}}}
              n{2..3}: {fake: {size: "{7,8}"}}
        """
    ).machines
    assert [dict(machine.labels) for machine in found] == [
        {"a": "1", "b": "2"}, {"a": "1", "b": "3"}, {"a": "1", "b": "2"},
    ]  # fmt: skip
    assert [machine.options.get("fake_size") for machine in found] == [None, 7, 8]
    assert {machine.options["fake_tags"] for machine in found} == {("z",)}
    assert [machine.engine.config["mtu"] for machine in found] == [1400, 1450, 1400]
    assert all(machine.engine.config["debug"] for machine in found)


def test_an_empty_value_takes_a_default_back() -> None:
    found = fleet(
        """
        fleet: f
        defaults: {driver: fake, swarm: worker, labels: {a: b}}
        machines: [{name: a, swarm: manager}, {name: b, swarm: }, {name: c, swarm: none, labels: ~}]
        """
    ).machines
    assert [machine.swarm and machine.swarm.role for machine in found] == ["manager", None, None]
    assert [dict(machine.labels) for machine in found] == [{"a": "b"}, {"a": "b"}, {}]


def test_the_short_form_of_swarm_is_merged_with_the_long_one() -> None:
    found = fleet(
        """
        fleet: f
        defaults: {driver: fake, swarm: {role: worker, labels: {a: b}}}
        machines:
          - {name: m, swarm: manager}
          - {name: w, swarm: {labels: {c: d}, availability: drain, advertise: 10.0.0.1}}
        """
    ).machines
    assert [machine.swarm for machine in found] == [
        NodeSpec("manager", {"a": "b"}), NodeSpec("worker", {"a": "b", "c": "d"}, "drain", "10.0.0.1"),
    ]  # fmt: skip


def test_defaults_may_have_sections_of_drivers_that_a_machine_does_not_use() -> None:
    found = fleet(
        """
        fleet: f
        defaults: {ssh: {user: ops}, fake: {size: 2}, absent: {whatever: 1}}
        machines: [{name: a, driver: fake}, {name: b, driver: ssh, ssh: {host: h}}]
        """
    ).machines
    assert [machine.options for machine in found] == [{"fake_size": 2}, {"ssh_user": "ops", "ssh_host": "h"}]


def test_variables_are_filled_in() -> None:
    environ = {"A": "1", "EMPTY": "", "N": "7"}
    (machine,) = machines(
        """
        - name: n-${A}
          labels: {a: "${A}", b: "${B:-x y}", c: "${EMPTY:-d}", d: "$${A} costs $5", e: "${EMPTY}"}
          fake: {size: "${N}", spot: "${SPOT:-true}"}
          engine: {daemon: {debug: "${D:-true}", mtu: "${M:-1400}"}}
        """,
        surroundings(environ),
    ).machines
    assert machine.name == "n-1"
    assert machine.labels == {"a": "1", "b": "x y", "c": "d", "d": "${A} costs $5", "e": ""}
    assert machine.options == {"fake_size": 7, "fake_spot": True}
    assert machine.engine.config == {"debug": True, "mtu": 1400}


def test_a_variable_in_an_anchor_that_nobody_uses_need_not_be_set() -> None:
    assert fleet("fleet: f\nx-spare: {a: '${NOPE}'}\n").machines == ()


def test_anchors_and_merge_keys_work() -> None:
    found = fleet(
        """
        x-big: &big {fake: {size: 9}, labels: {a: b}}
        fleet: f
        machines:
          - {name: one, driver: fake, <<: *big}
          - {name: two, driver: fake, <<: [*big], labels: {}}
        """
    ).machines
    assert [machine.options for machine in found] == [{"fake_size": 9}] * 2
    assert [dict(machine.labels) for machine in found] == [{"a": "b"}, {}]


def test_an_entry_used_twice_by_its_alias_is_a_machine_twice() -> None:
    assert faults("x-a: &a {name: n, driver: fake}\nfleet: f\nmachines: [*a, *a]\n") == [
        "f.yaml:1:16: machine 'n' is already defined at f.yaml:1:16"
    ]


def test_words_that_yaml_takes_for_truths_stay_texts() -> None:
    (machine,) = machines("- {name: n, labels: {country: no, on: yes, version: 1.10, when: 2024-01-01}}").machines
    assert machine.labels == {"country": "no", "on": "yes", "version": "1.10", "when": "2024-01-01"}


def test_several_files_are_one() -> None:
    found = fleet(
        "fleet: f\ndefaults: {driver: fake, labels: {a: a, b: b}}\nmachines: [{name: a, swarm: manager}]\n",
        "machines: [{name: b}]\nswarm: {subnet_size: 25}\n",
        "fleet: f\ndefaults: {labels: {b: c}}\nswarm: {subnet_size: 26, autolock: true}\nmachines:\n",
    )
    assert [machine.name for machine in found.machines] == ["a", "b"]
    assert found.machines[0].labels == {"a": "a", "b": "c"}
    assert found.swarm == SwarmSpec(True, subnet_size=26)


def test_several_files_are_of_one_fleet() -> None:
    assert faults("fleet: f\n", "fleet: g\n") == [
        "g.yaml:1:8: fleet 'g', and 'f' at f.yaml:1:8: all files must name the same fleet"
    ]


def test_a_machine_in_two_files_is_faulted_with_both_places() -> None:
    text = "fleet: f\nmachines:\n- {name: n, driver: fake}\n"
    assert [line.startswith("g.yaml:3:10: machine 'n' ") for line in faults(text, text)] == [True]
    assert faults(text, text)[0].endswith(" f.yaml:3:10")


def test_groups_are_pattern_role_and_those_listed() -> None:
    (first, _) = machines("- {name: 'n{1..2}', swarm: manager, groups: [front, manager]}").machines
    assert first.groups == ("n{1..2}", "manager", "front")


def test_an_empty_file_is_an_inventory_without_anything() -> None:
    assert fleet("fleet: f\n", "").machines == ()


def test_a_machine_has_the_place_of_its_name() -> None:
    (machine,) = machines("- {driver: fake, name: n}").machines
    assert (machine.spot.file, machine.spot.line, machine.spot.column) == ("f.yaml", 4, 26)
