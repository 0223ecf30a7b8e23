from __future__ import annotations

import getpass
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pymachine.addresses import Hop
from pymachine.errors import UsageFault
from pymachine.transport.jump import plan_route
from pymachine.transport.proxy import program_words
from pymachine.transport.ssh_config import HostConfig, resolve


@pytest.fixture
def config(tmp_path: Path) -> Path:
    if shutil.which("ssh") is None:
        pytest.skip("no ssh here")
    return tmp_path / "config"


def test_an_alias_leads_to_what_its_block_says(config: Path) -> None:
    config.write_text("Host web\n HostName 10.0.0.5\n User admin\n Port 2222\n IdentityFile ~/.ssh/web\n")
    found = resolve("web", config=config)
    assert (found.host, found.port, found.user) == ("10.0.0.5", 2222, "admin")
    assert found.identity_files == (Path.home() / ".ssh/web",)


def test_given_values_win(config: Path) -> None:
    config.write_text("Host web\n User admin\n Port 2222\n")
    found = resolve("web", port=22, user="root", config=config)
    assert (found.port, found.user) == (22, "root")


def test_without_a_user_anywhere_none_is_claimed(config: Path) -> None:
    config.write_text("Host other\n User admin\n")
    assert resolve("web", config=config).user is None


def test_a_user_that_is_the_local_one_counts_as_given(config: Path) -> None:
    config.write_text(f"Host *\n User {getpass.getuser()}\n")
    assert resolve("web", config=config).user == getpass.getuser()


@pytest.mark.parametrize("last", ["Match final", "CanonicalizeHostname always\nMatch canonical"])
def test_what_is_read_last_names_a_user_too(config: Path, last: str) -> None:
    config.write_text(f"Host web\n HostName 192.0.2.1\n{last}\n User bob\n")
    found = resolve("web", config=config)
    assert (found.host, found.user) == ("192.0.2.1", "bob")


def test_what_is_read_last_can_ask_for_the_local_user(config: Path) -> None:
    config.write_text(f"Host web\nMatch final user {getpass.getuser()}\n Port 2222\n")
    found = resolve("web", config=config)
    assert (found.port, found.user) == (2222, None)
    assert resolve("web", user="other", config=config).port == 22


def test_tokens_of_a_jump_host_are_filled_in(config: Path) -> None:
    config.write_text("Host web\n HostName 192.0.2.1\n User bob\n ProxyJump %r@gate-%n:22\n")
    assert resolve("web", config=config).jump == "bob@gate-web:22"


def test_a_missing_configuration_leaves_the_defaults(config: Path) -> None:
    found = resolve("web", config=config)
    assert (found.host, found.port, found.jump, found.proxy) == ("web", 22, None, ())
    assert Path.home() / ".ssh/id_ed25519" in found.identity_files
    assert not [path for path in found.identity_files if path.name.endswith("_sk")]


def test_include_and_match_mean_what_ssh_means(config: Path) -> None:
    (config.parent / "more").write_text("Match originalhost web user admin\n Port 2200\nMatch tagged x\n Port 1\n")
    config.write_text(f"Include {config.parent}/more\n")
    if _knows_tagged(config):
        assert resolve("web", user="admin", config=config).port == 2200
    (config.parent / "more").write_text("Match originalhost web user admin\n Port 2200\n")
    assert resolve("web", user="admin", config=config).port == 2200
    assert resolve("web", user="other", config=config).port == 22


def _knows_tagged(config: Path) -> bool:
    """OpenSSH knows ``Match tagged`` from 9.4 on and refuses it before."""
    try:
        resolve("web", config=config)
    except UsageFault:
        return False
    return True


def test_tokens_in_identity_files_are_filled_in(config: Path) -> None:
    config.write_text("Host web\n HostName 10.0.0.5\n IdentityFile %d/keys/%r@%h:%p-%%\n")
    found = resolve("web", user="admin", port=24, config=config)
    assert found.identity_files == (Path.home() / "keys/admin@10.0.0.5:24-%",)


def test_identities_only_is_seen(config: Path) -> None:
    config.write_text("Host web\n IdentitiesOnly yes\n")
    assert resolve("web", config=config).identities_only
    assert not resolve("db", config=config).identities_only


def test_proxy_jump_none_is_no_jump(config: Path) -> None:
    config.write_text("Host web\n ProxyJump none\n ProxyCommand none\nHost *\n ProxyJump bastion\n")
    assert resolve("web", config=config).jump is None
    assert resolve("db", config=config).jump == "bastion"


def test_a_broken_configuration_is_a_usage_fault_that_names_the_line(config: Path) -> None:
    config.write_text("Host web\n Nonsense yes\n")
    with pytest.raises(UsageFault, match=r" web: .*config: line 2"):
        resolve("web", config=config)


def test_a_host_that_looks_like_a_flag_never_reaches_ssh(config: Path) -> None:
    with pytest.raises(UsageFault, match=" host"):
        resolve("-oProxyCommand=touch", config=config)


def test_the_configuration_cannot_smuggle_in_a_bad_host_either(config: Path) -> None:
    config.write_text("Host web\n HostName -oX\n")
    with pytest.raises(UsageFault):
        resolve("web", config=config)


def test_without_ssh_installed_only_given_values_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "config").write_text("Host web\n HostName 10.0.0.5\n")
    found = resolve("web", user="admin", config=tmp_path / "config")
    assert (found.host, found.port, found.user) == ("web", 22, "admin")
    assert [path.name for path in found.identity_files] == ["id_ed25519", "id_ecdsa", "id_rsa"]


class World:
    """Configurations by host name, as ssh would resolve them."""

    def __init__(self, **jumps: str) -> None:
        self.jumps = jumps

    def resolve(self, hop: Hop) -> HostConfig:
        return HostConfig(hop.host, hop.port or 22, hop.user, jump=self.jumps.get(hop.host))


def route(jump: str | None, host: str, world: World) -> str:
    return plan_route(jump, world.resolve(Hop(host)), world.resolve).text


ME = getpass.getuser()


def test_a_host_without_jump_is_reached_directly() -> None:
    assert route(None, "web", World()) == ""


def test_the_configuration_gives_the_jump_unless_one_is_given() -> None:
    world = World(web="bastion")
    assert route(None, "web", world) == f"{ME}@bastion:22"
    assert route("me@other:24", "web", world) == "me@other:24"
    assert route("none", "web", world) == ""


def test_a_chain_is_kept_in_order() -> None:
    assert route("a@b,c@d:3", "web", World()) == "a@b:22,c@d:3"


def test_the_first_jump_host_may_have_one_of_its_own() -> None:
    world = World(web="inner", inner="u@outer", later="never")
    assert route(None, "web", world) == f"u@outer:22,{ME}@inner:22"
    assert route("inner,later", "web", world) == f"u@outer:22,{ME}@inner:22,{ME}@later:22"


@pytest.mark.parametrize("jumps", [{"a": "a"}, {"a": "b", "b": "a"}])
def test_a_circle_of_jump_hosts_is_refused(jumps: dict[str, str]) -> None:
    with pytest.raises(UsageFault, match="loop"):
        route("a", "web", World(**jumps))


def test_a_proxy_command_of_the_first_jump_host_is_refused() -> None:
    world = World()
    proxied = HostConfig("bastion", proxy=("sh", "-c", "exec nc %h %p"))
    with pytest.raises(UsageFault, match=r"bastion .*ProxyCommand"):
        plan_route("bastion", world.resolve(Hop("web")), lambda hop: proxied)
    assert plan_route(None, replace(proxied, host="web"), world.resolve).hops == ()


def test_tokens_of_a_proxy_command_are_filled_in_and_host_and_port_at_its_use(config: Path) -> None:
    config.write_text("Host web\n HostName 10.0.0.5\n ProxyCommand connect %n %r 100%% -W %h:%p | cat\n")
    found = resolve("web", user="admin", config=config)
    assert found.proxy == ("sh", "-c", "exec connect web admin 100%% -W %h:%p | cat")
    assert program_words(found.proxy, "10.0.0.5", 24)[1:] == [
        "-c",
        "exec connect web admin 100% -W 10.0.0.5:24 | cat",
    ]
