"""Command lines for ssh and scp: as text, as ssh itself reads them, and against a real sshd."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.sshd import Sshd, make_key, require_sshd, running_sshd
from patience import LIMIT
from pymachine import ssh_client
from pymachine.errors import CheckFailed, NotSupported, UsageFault
from pymachine.model import Endpoint, Machine, Phase, SshAddress
from pymachine.store.sqlite import SqliteStore

KEY_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJe0S4yS5PyN1Y4yjxJkzMEz1nPUKIiDbkSgXrnJ8V9K"


def machine(name: str, host: str = "192.0.2.7", **address: object) -> Machine:
    ssh = SshAddress(**{"host": host, "host_key": KEY_LINE, **address})  # type: ignore[arg-type]
    return Machine(name, f"id-of-{name}", "ssh", Phase.READY, ssh=ssh, endpoint=Endpoint(host))


def understood(config: ssh_client.SshConfig, word: str) -> dict[str, str]:
    """Return what ssh itself makes of a host in the configuration."""
    words = ["ssh", "-G", "-F", str(config.path), word]
    done = subprocess.run(words, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return dict(line.partition(" ")[::2] for line in done.stdout.splitlines())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home/.ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_only_the_pinned_key_counts(tmp_path: Path, home: Path) -> None:
    config = ssh_client.write_ssh_config(tmp_path, [machine("node1")])
    seen = understood(config, "192.0.2.7")
    assert seen["stricthostkeychecking"] == "true"
    assert seen["hostkeyalias"] == "pymachine-id-of-node1"
    assert seen["globalknownhostsfile"] == "/dev/null"
    assert Path(seen["userknownhostsfile"]).read_text() == f"pymachine-id-of-node1 {KEY_LINE}\n"
    assert seen["user"] == "root"
    assert config.ssh("node1", ["-v", "ls"]) == ["ssh", "-F", str(config.path), "192.0.2.7", "-v", "ls"]


def test_what_was_given_at_create_beats_the_users_configuration_which_fills_the_rest(
    tmp_path: Path, home: Path
) -> None:
    (home / ".ssh/config").write_text(
        "Host inner\n  HostName 10.9.9.9\n  Port 2222\n  User ann\n  ForwardAgent yes\n  StrictHostKeyChecking no\n"
    )
    seen = understood(ssh_client.write_ssh_config(tmp_path, [machine("node1", "inner", port=2200)]), "inner")
    assert (seen["hostname"], seen["port"], seen["user"]) == ("10.9.9.9", "2200", "ann")
    assert (seen["forwardagent"], seen["stricthostkeychecking"]) == ("yes", "true")


def test_nothing_of_the_users_configuration_keeps_a_command_from_its_run_or_adds_a_key(
    tmp_path: Path, home: Path
) -> None:
    settings = {"sessiontype": "none", "stdinnull": "yes", "forkafterauthentication": "yes", "remotecommand": "true"}
    settings |= {"knownhostscommand": "/bin/echo", "verifyhostkeydns": "yes"}
    theirs = "".join(f"  {name} {value}\n" for name, value in settings.items())
    (home / ".ssh/config").write_text(f"Host *\n  IgnoreUnknown UseKeychain\n  UseKeychain yes\n{theirs}")
    seen = understood(ssh_client.write_ssh_config(tmp_path, [machine("node1")]), "192.0.2.7")
    for name, value in settings.items():
        assert seen.get(name, "none") != value
    assert seen.get("verifyhostkeydns") in {"no", "false"}


def test_two_machines_at_one_address_keep_their_ports(tmp_path: Path, home: Path) -> None:
    pair = [machine("a", "127.0.0.1", port=2201), machine("b", "127.0.0.1", port=2202)]
    config = ssh_client.write_ssh_config(tmp_path, pair)
    assert [understood(config, word)["port"] for word in ("a", "b")] == ["2201", "2202"]
    assert understood(config, "b")["hostname"] == "127.0.0.1"


def test_keys_and_jump_hosts(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "a key 100%"
    config = ssh_client.write_ssh_config(tmp_path, [machine("n", key_path=str(path), jump="root@bastion:2022")])
    seen = understood(config, "192.0.2.7")
    assert seen["proxyjump"] == "root@bastion:2022"
    assert seen["identitiesonly"] == "yes"
    text = config.path.read_text()
    assert text.count('IdentityFile "' + str(path).replace("%", "%%")) == 2
    assert understood(config, "bastion")["stricthostkeychecking"] == "accept-new"
    assert "hostkeyalias" not in understood(config, "bastion")


def test_no_jump_beats_a_jump_of_the_users_configuration(tmp_path: Path, home: Path) -> None:
    (home / ".ssh/config").write_text("Host *\n  ProxyJump elsewhere\n")
    config = ssh_client.write_ssh_config(tmp_path, [machine("n", jump="none")])
    assert understood(config, "192.0.2.7").get("proxyjump", "none") == "none"


def test_a_program_to_go_through_is_quoted_and_beats_what_the_users_configuration_says(
    tmp_path: Path, home: Path
) -> None:
    (home / ".ssh/config").write_text("Host *\n  ProxyJump elsewhere\n  ProxyCommand other\n")
    proxy = ("sh", "-c", "echo 'a b' 100%", "%h", "%p")
    seen = understood(ssh_client.write_ssh_config(tmp_path, [machine("n", port=2200, proxy=proxy)]), "192.0.2.7")
    assert "proxyjump" not in seen
    assert seen["proxycommand"].endswith(r"""/sh -c 'echo '"'"'a b'"'"' 100%%' 192.0.2.7 2200""")
    assert seen["proxycommand"].startswith("/")


@pytest.mark.parametrize("host_key", [None, "SHA256:" + "A" * 43])
def test_a_host_that_was_never_reached_is_refused(tmp_path: Path, host_key: str | None) -> None:
    with pytest.raises(CheckFailed, match="never reached"):
        ssh_client.write_ssh_config(tmp_path, [machine("n", host_key=host_key)])


def test_a_machine_without_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotSupported):
        ssh_client.write_ssh_config(tmp_path, [Machine("n", "i", "none")])


def test_the_files_are_private_and_go_with_the_machine(tmp_path: Path, home: Path) -> None:
    ssh_client.write_ssh_config(tmp_path, [machine("a"), machine("b", "192.0.2.8")])
    files = list((tmp_path / "ssh").iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    ssh_client.forget_ssh_config(tmp_path, "id-of-a")
    assert [file.name for file in (tmp_path / "ssh").iterdir()] == ["id-of-b.known_hosts"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a", ssh_client.CopyEnd("a")),
        ("/a:b", ssh_client.CopyEnd("/a:b")),
        ("./a:b", ssh_client.CopyEnd("./a:b")),
        ("node1:/tmp/a b", ssh_client.CopyEnd("/tmp/a b", "node1")),
        ("ann@node1:", ssh_client.CopyEnd("", "node1", "ann")),
        ("localhost:a", ssh_client.CopyEnd("a")),
        ("node1:a:b", ssh_client.CopyEnd("a:b", "node1")),
    ],
)
def test_places_are_told_apart(text: str, place: ssh_client.CopyEnd) -> None:
    assert ssh_client.parse_place(text) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("node1:a:b", ssh_client.CopyEnd("a:b", "node1")),
        ("ann@node1:a", ssh_client.CopyEnd("a", "node1", "ann")),
        ("12:30.log", ssh_client.CopyEnd("12:30.log")),
        ("nobody:a", ssh_client.CopyEnd("a", "nobody")),
        ("C:\\Users\\a", ssh_client.CopyEnd("C:\\Users\\a")),
        ("C:/Users/a", ssh_client.CopyEnd("C:/Users/a")),
        ("d:/a", ssh_client.CopyEnd("/a", "d")),
    ],
)
def test_what_names_no_machine_may_be_a_file(
    text: str, place: ssh_client.CopyEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("12:30.log", "node1:a:b"):
        (tmp_path / name).write_text("")
    assert ssh_client.place_of(text, {"node1", "d"}.__contains__) == place


@pytest.mark.parametrize("text", ["", ":a"])
def test_no_place(text: str) -> None:
    with pytest.raises(UsageFault):
        ssh_client.parse_place(text)


def test_copies_between_machines_go_through_this_side(tmp_path: Path, home: Path) -> None:
    config = ssh_client.write_ssh_config(tmp_path, [machine("a", "2001:db8::5"), machine("b")])
    ends = [ssh_client.CopyEnd("/x", "a"), ssh_client.CopyEnd("/y", "b", "ann")]
    words = ssh_client.scp_words(config, ["-r"], ends)
    assert words == ["scp", "-F", str(config.path), "-3", "-r", "--", "[2001:db8::5]:/x", "ann@192.0.2.7:/y"]


def test_rsync_gets_the_configuration_as_one_word_and_one_machine(tmp_path: Path, home: Path) -> None:
    config = ssh_client.write_ssh_config(tmp_path / "a b", [machine("a", "2001:db8::5"), machine("b")])
    far, here = ssh_client.CopyEnd("/x y", "a", "ann"), ssh_client.CopyEnd("z:1")
    assert ssh_client.rsync_words(config, ["-r"], [far, here]) == [
        "rsync", "--protect-args", "-e", f'ssh -F "{config.path}"', "-r", "--", "ann@[2001:db8::5]:/x y", "./z:1",
    ]  # fmt: skip
    with pytest.raises(UsageFault):
        ssh_client.rsync_words(config, [], [far, ssh_client.CopyEnd("/y", "b")])


def test_local_paths_are_never_taken_for_hosts_or_options(tmp_path: Path, home: Path) -> None:
    config = ssh_client.write_ssh_config(tmp_path, [machine("a")])
    words = ssh_client.scp_words(config, [], [ssh_client.CopyEnd("-x:y"), ssh_client.CopyEnd("z", "a")])
    assert words[-3:] == ["--", "./-x:y", "192.0.2.7:z"]


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    require_sshd()
    with running_sshd() as server:
        server.authorize("root", make_key(server.folder / "key"))
        yield server


@pytest.fixture
def store(sshd: Sshd, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """A store with node1 and, at the same address under another name, node2."""
    monkeypatch.setenv("MACHINE_STORAGE_PATH", str(tmp_path / "st ore"))
    address = {"port": sshd.port, "user": "root", "key_path": str(sshd.folder / "key")}
    key = sshd.public_key("ed25519")
    with SqliteStore.open(tmp_path / "st ore") as store:
        store.put(machine("node1", "127.0.0.1", host_key=key, **address))
        store.put(machine("node2", "127.0.0.1", host_key=key, **address))
        store.put(machine("wrong", "127.0.0.1", **address))
        yield store


def pymachine(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pymachine", *words], input=stdin or "", capture_output=True, text=True, timeout=LIMIT,
        check=False,
    )  # fmt: skip


# A server for one connection: sshd itself may be the program.
def one_connection(sshd: Sshd) -> tuple[str, ...]:
    return ("/usr/sbin/sshd", "-i", "-f", str(sshd.folder / "config"))


def test_ssh_goes_through_the_program(store: SqliteStore, sshd: Sshd) -> None:
    own = {"host_key": sshd.public_key("ed25519"), "user": "root", "key_path": str(sshd.folder / "key")}
    store.put(machine("node3", "nowhere.invalid", proxy=one_connection(sshd), **own))
    done = pymachine("ssh", "node3", "echo", "reached")
    assert (done.stdout, done.returncode) == ("reached\n", 0), done.stderr


@pytest.mark.usefixtures("store")
class TestAgainstARealServer:
    def test_the_remote_exit_code_is_ours(self) -> None:
        assert pymachine("ssh", "node1", "exit 7").returncode == 7

    def test_standard_input_is_piped_through(self) -> None:
        assert pymachine("ssh", "node1", "cat", stdin="piped\n").stdout == "piped\n"

    def test_dashes_end_the_options_of_ssh(self) -> None:
        assert pymachine("ssh", "node1", "--", "echo", "-n", "plain").stdout == "plain"

    def test_options_of_ssh_come_before_the_command(self) -> None:
        assert pymachine("ssh", "node1", "-o", "SetEnv=LC_X=1", "-T", "echo", "a").stdout == "a\n"

    def test_another_host_key_is_refused(self) -> None:
        done = pymachine("ssh", "wrong", "true")
        assert done.returncode == 255
        assert "IDENTIFICATION HAS CHANGED" in done.stderr or "verification failed" in done.stderr

    def test_files_there_and_back_and_between(self, tmp_path: Path) -> None:
        (tmp_path / "a file").write_text("content")
        goal = tmp_path / "goal"
        goal.mkdir()
        assert pymachine("scp", str(tmp_path / "a file"), f"node1:{goal}/b c").stderr == ""
        assert pymachine("scp", "-q", f"node1:{goal}/b c", f"node2:{goal}/d").returncode == 0
        assert pymachine("scp", "-r", f"node2:{goal}", str(tmp_path / "back")).returncode == 0
        assert (tmp_path / "back/d").read_text() == "content"

    def test_other_programs_reach_a_machine_by_its_entry(self, tmp_path: Path) -> None:
        (tmp_path / "own").write_text(pymachine("ssh-config", "node1", "wrong").stdout)
        (tmp_path / "file").write_text("content")
        for name, code in (("node1", 0), ("wrong", 255)):
            words = ["scp", "-q", "-F", str(tmp_path / "own"), str(tmp_path / "file"), f"{name}:{tmp_path}/{name}"]
            assert subprocess.run(words, stdin=subprocess.DEVNULL, timeout=LIMIT, check=False).returncode == code
        assert (tmp_path / "node1").read_text() == "content"
        assert not (tmp_path / "wrong").exists()

    def test_without_ssh_commands_still_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        done = pymachine("ssh", "node1", "cat; echo to err >&2; exit 5", stdin="piped")
        assert (done.stdout, done.stderr, done.returncode) == ("piped", "to err\n", 5)
        assert "install OpenSSH" in pymachine("ssh", "node1").stderr
