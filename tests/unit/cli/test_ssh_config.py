"""``ssh-config``: what ssh itself makes of the entries, and what becomes of the file that they are kept in."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pymachine.cli import main
from pymachine.model import Endpoint, Machine, Phase, SshAddress
from pymachine.store.client_files import LOGIN_KEY
from pymachine.store.sqlite import SqliteStore

KEY_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJe0S4yS5PyN1Y4yjxJkzMEz1nPUKIiDbkSgXrnJ8V9K"
SECTION = b"# BEGIN pymachine "

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh here")


@dataclass
class User:
    """Somebody with a home and a store."""

    home: Path
    store: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def file(self) -> Path:
        """Their SSH configuration."""
        return self.home / ".ssh/config"

    def configured(self, text: str) -> None:
        """Write that configuration."""
        self.file.parent.mkdir(mode=0o700, exist_ok=True)
        self.file.write_text(text)

    def machine(self, name: str, host: str = "192.0.2.7", **address: object) -> None:
        """Put a machine on record."""
        ssh = SshAddress(**{"host": host, "host_key": KEY_LINE, **address})  # type: ignore[arg-type]
        store = SqliteStore.open(self.store)
        record = Machine(name, f"id-of-{name.lower()}", "ssh", Phase.READY, ssh=ssh, endpoint=Endpoint("192.0.2.7"))
        store.put(record, secrets={LOGIN_KEY: b"a key\n"} if ssh.key_path == LOGIN_KEY else None)
        store.close()

    def run(self, *words: str, code: int = 0) -> str:
        """Give the command; return what it printed."""
        assert main(["-s", str(self.store), "ssh-config", *words]) == code
        return self.capsys.readouterr().out

    def seen(self, word: str, file: Path | None = None) -> dict[str, str]:
        """Return what ssh itself makes of a word."""
        words = ["ssh", "-G", "-F", str(file or self.file), word]
        done = subprocess.run(words, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
        return dict(reversed([line.partition(" ")[::2] for line in done.stdout.splitlines()]))


@pytest.fixture
def user(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> User:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return User(tmp_path / "home", tmp_path / "a store 100%", capsys)


def test_ssh_finds_a_machine_by_its_name(user: User, tmp_path: Path) -> None:
    key = tmp_path / "a key 100% #1"
    user.machine("Web1", port=2222, user="ann", key_path=str(key), jump="root@bastion:2022")
    (tmp_path / "printed").write_text(user.run())
    for word in ("Web1", "web1"):
        seen = user.seen(word, tmp_path / "printed")
        assert (seen["hostname"], seen["port"], seen["user"]) == ("192.0.2.7", "2222", "ann")
        assert seen["proxyjump"] == "root@bastion:2022"
        assert (seen["identitiesonly"], seen["stricthostkeychecking"]) == ("yes", "true")
        assert seen["identityfile"] == str(key).replace("%", "%%")
        assert Path(seen["userknownhostsfile"]).read_text() == f"{seen['hostkeyalias']} {KEY_LINE}\n"


def test_the_stores_own_key_is_a_file(user: User, tmp_path: Path) -> None:
    user.machine("web1", key_path=LOGIN_KEY)
    (tmp_path / "printed").write_text(user.run("web1"))
    key = Path(user.seen("web1", tmp_path / "printed")["identityfile"].replace("%%", "%"))
    assert key.read_bytes() == b"a key\n"


@pytest.mark.parametrize("path", ['a "key', "a\nkey", "${HOME}/key"])
def test_a_path_that_ssh_cannot_use_is_refused(user: User, path: str) -> None:
    user.machine("web1", key_path=path)
    assert user.run("web1", code=2) == ""


def test_what_the_users_configuration_says_of_the_address_counts(user: User) -> None:
    user.configured(
        "Host inner\n  HostName 10.9.9.9\n  Port 2222\n  User ann\n  IdentityFile ~/.ssh/inner\n"
        "  IdentityAgent none\n  ProxyJump bastion\n\nHost *\n  User bob\n  ForwardAgent yes\n"
    )
    user.machine("web1", "inner")
    user.machine("web2", "192.0.2.8", jump="none", user="root")
    user.run("--write")
    seen = user.seen("web1")
    assert (seen["hostname"], seen["port"], seen["user"]) == ("10.9.9.9", "2222", "ann")
    assert (seen["proxyjump"], seen["identityagent"], seen["forwardagent"]) == ("bastion", "none", "yes")
    assert seen["identityfile"] == str(user.home / ".ssh/inner")
    assert user.seen("web2")["user"] == "root"


def test_a_changed_configuration_counts_at_the_next_write(user: User) -> None:
    user.configured("Host web\n  HostName 10.9.9.9\n")
    user.machine("web", "web")
    user.run("--write")
    user.file.write_text(
        user.file.read_text().replace("Host web\n  HostName 10.9.9.9", "Host web\n  HostName 10.8.8.8")
    )
    user.run("--write")
    assert user.seen("web")["hostname"] == "10.8.8.8"


def test_what_stood_before_the_first_host_still_counts_for_all(user: User) -> None:
    user.configured("ServerAliveCountMax 7\nHost a\n  Port 1\n")
    user.machine("web1")
    user.run("--write")
    assert user.seen("elsewhere")["serveralivecountmax"] == "7"
    assert user.seen("elsewhere")["stricthostkeychecking"] == "ask"
    assert user.seen("a")["port"] == "1"


def test_the_rest_of_the_file_stays_to_the_byte(user: User) -> None:
    before = b"# caf\xe9\r\nHost a\r\n\tPort 1"
    user.configured("")
    user.file.write_bytes(before)
    user.machine("web1")
    user.run("--write")
    first = user.file.read_bytes()
    assert first.endswith(before)
    user.run("--write")
    assert user.file.read_bytes() == first
    user.file.write_bytes(b"# moved\n" + first)
    user.machine("web2", "192.0.2.8")
    user.run("--write")
    assert user.file.read_bytes().startswith(b"# moved\n" + SECTION)
    assert user.seen("web2")["hostname"] == "192.0.2.8"
    user.run("--remove")
    assert user.file.read_bytes() == b"# moved\n" + before
    assert user.run("--remove") == ""


def test_mode_and_links_stay(user: User) -> None:
    real = user.home / "dotfiles/ssh"
    real.parent.mkdir()
    real.write_text("Host a\n")
    real.chmod(0o640)
    user.file.parent.mkdir()
    user.file.symlink_to("../dotfiles/ssh")
    user.machine("web1")
    user.run("--write")
    assert user.file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert SECTION in real.read_bytes()
    assert sorted(path.name for path in real.parent.iterdir()) == ["ssh"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_stays(user: User) -> None:
    user.configured("Host a\n")
    os.chown(user.file, 1000, 1000)
    user.machine("web1")
    user.run("--write")
    assert (user.file.stat().st_uid, user.file.stat().st_gid) == (1000, 1000)


def test_a_new_file_is_private(user: User) -> None:
    user.machine("web1")
    user.run("web1", "--write", str(user.home / "new/folder/config"))
    assert (user.home / "new/folder/config").stat().st_mode & 0o777 == 0o600
    assert (user.home / "new").stat().st_mode & 0o777 == 0o700


def test_a_file_with_two_names_and_a_broken_section_are_left_alone(user: User) -> None:
    user.machine("web1")
    user.configured("Host a\n")
    os.link(user.file, user.home / "second")
    user.run("--write", code=3)
    assert user.file.read_text() == "Host a\n"
    (user.home / "second").unlink()
    user.run("--write")
    cut = b"".join(line for line in user.file.read_bytes().splitlines(True) if not line.startswith(b"# END"))
    user.file.write_bytes(cut)
    user.run("--write", code=3)
    user.run("--remove", code=3)
    assert user.file.read_bytes() == cut


def test_sections_of_two_stores_stay_apart(user: User, tmp_path: Path) -> None:
    user.machine("web1")
    user.run("--write")
    other = User(user.home, tmp_path / "other", user.capsys)
    other.machine("web9", "192.0.2.9")
    other.run("--write")
    assert {user.seen(word)["hostname"] for word in ("web1", "web9")} == {"192.0.2.7", "192.0.2.9"}
    other.run("--remove")
    assert user.seen("web1")["hostname"] == "192.0.2.7"
    assert user.seen("web9")["hostname"] == "web9"


def test_the_word_by_which_another_machine_is_reached_gets_no_entry(user: User) -> None:
    user.configured("Host db\n  HostName 10.9.9.9\n")
    user.machine("main", "db")
    user.machine("db", "192.0.2.8")
    assert user.run("db", code=3) == ""
    user.run("--write", code=5)
    assert user.seen("db")["hostname"] == "10.9.9.9"
    assert user.seen("main")["hostname"] == "10.9.9.9"


def test_wrong_words(user: User) -> None:
    user.machine("web1")
    user.run("--write", "web1", code=2)
    user.run("web1", "--remove", code=2)
    user.run("nobody", code=4)
    user.run("--write", str(user.home), code=2)


def test_no_setting_for_all_hosts_lets_another_key_in(user: User) -> None:
    user.machine("web1")
    user.configured("Host *\n  VerifyHostKeyDNS yes\n  StrictHostKeyChecking no\n  UpdateHostKeys yes\n")
    user.run("--write")
    seen = user.seen("web1")
    assert (seen["verifyhostkeydns"], seen["stricthostkeychecking"], seen["updatehostkeys"]) == (
        "false",
        "true",
        "false",
    )
