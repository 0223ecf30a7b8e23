"""``import docker-machine``: what comes over from stores of every version, and what is skipped with its reason."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from pymachine.cli import main
from pymachine.cli.dependencies import Wiring
from pymachine.model import Endpoint, Machine, Phase
from pymachine.store.client_files import LOGIN_KEY
from pymachine.store.sqlite import SqliteStore
from pymachine.testing.fake_asker import FakeAsker
from unit.docker_machine.their_store import BEGAN, TheirStore, key_file

NOW = (BEGAN + timedelta(days=30)).timestamp()


@dataclass
class Person:
    """Somebody with both stores."""

    home: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str, yes: bool = True) -> int:
        """Give the command."""
        wiring = Wiring(now=lambda: NOW, asker=FakeAsker(yes=yes))
        return main(["-s", str(self.home / "ours"), "import", "docker-machine", *words], wiring=wiring)

    def machine(self, name: str) -> Machine:
        """A machine as it is on record."""
        store = SqliteStore.open(self.home / "ours")
        try:
            return store.get(name)
        finally:
            store.close()

    def secrets(self, name: str) -> dict[str, bytes]:
        """Its certificates and keys."""
        store = SqliteStore.open(self.home / "ours")
        try:
            return store.secrets(name)
        finally:
            store.close()

    def said(self) -> tuple[str, str]:
        """What came on standard output and standard error."""
        found = self.capsys.readouterr()
        return found.out, found.err


@pytest.fixture
def person(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Person(tmp_path, capsys)


@pytest.fixture
def theirs(tmp_path: Path) -> TheirStore:
    return TheirStore(tmp_path / ".docker/machine")


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its time and content."""
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_a_machine_of_each_version_comes_over_with_all_its_files(
    person: Person, theirs: TheirStore, version: int
) -> None:
    folder = theirs.machine("web", version=version)
    before = files_of(theirs.folder)
    assert person.run("-y") == 0
    machine, secrets = person.machine("web"), person.secrets("web")
    assert (machine.driver, machine.phase, machine.endpoint) == ("ssh", Phase.READY, Endpoint("192.0.2.7"))
    assert machine.ssh is not None
    assert (machine.ssh.host, machine.ssh.user, machine.ssh.port) == ("192.0.2.7", "admin", 2222)
    assert machine.ssh.key_path == LOGIN_KEY
    assert secrets == {
        **{file: (folder / file).read_bytes() for file in ("ca.pem", "cert.pem", "key.pem")},
        **{file: (folder / file).read_bytes() for file in ("server.pem", "server-key.pem")},
        "ca-key.pem": key_file(0),
        LOGIN_KEY: key_file(3),
    }
    assert machine.certificates is not None
    assert machine.certificates.sans == ("localhost",)
    assert machine.engine.sans == ("web.example.org",)
    assert files_of(theirs.folder) == before


def test_the_options_of_the_engine_come_over(person: Person, theirs: TheirStore) -> None:
    theirs.engine = {
        "ArbitraryFlags": ["log-driver=none"], "Env": ["A=b"], "Labels": ["provider=generic", "rack=7"],
        "RegistryMirror": ["https://mirror.example.org"], "InsecureRegistry": ["10.0.0.1:5000"],
        "StorageDriver": "overlay2", "InstallURL": "https://get.example.org",
    }  # fmt: skip
    theirs.machine("web", EnginePort=4243)
    assert person.run("-y", "web") == 0
    engine = person.machine("web").engine
    assert (engine.opts, engine.env, engine.labels) == (("log-driver=none",), ("A=b",), ("rack=7",))
    assert (engine.registry_mirrors, engine.insecure_registries) == (
        ("https://mirror.example.org",), ("10.0.0.1:5000",),
    )  # fmt: skip
    assert (engine.storage_driver, engine.install, engine.port) == ("overlay2", "https://get.example.org", 4243)
    assert person.machine("web").endpoint == Endpoint("192.0.2.7", 4243)


def test_a_dry_run_keeps_nothing_and_neither_does_a_no(person: Person, theirs: TheirStore) -> None:
    theirs.machine("web")
    assert person.run("--dry-run") == 0
    assert "tcp://192.0.2.7:2376" in person.said()[0]
    assert person.run(yes=False) == 0
    store = SqliteStore.open(person.home / "ours")
    assert store.records() == []
    store.close()


def spoilt(folder: Path, file: str, content: bytes | None) -> None:
    """Replace a file's content, or remove it."""
    (folder / file).unlink() if content is None else (folder / file).write_bytes(content)


def folder_instead(folder: Path) -> None:
    spoilt(folder, "config.json", None)
    (folder / "config.json").mkdir()


def pipe_instead(folder: Path) -> None:
    spoilt(folder, "config.json", None)
    os.mkfifo(folder / "config.json")


def circle_instead(folder: Path) -> None:
    spoilt(folder, "config.json", None)
    (folder / "config.json").symlink_to("config.json")


def configured(content: bytes | None) -> Callable[[Path], None]:
    return lambda folder: spoilt(folder, "config.json", content)


def altered(path: tuple[str, ...], value: object) -> Callable[[Path], None]:
    """Change one value of config.json."""

    def change(folder: Path) -> None:
        document = json.loads((folder / "config.json").read_bytes())
        inner = document
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        spoilt(folder, "config.json", json.dumps(document).encode())

    return change


def unreadable(folder: Path) -> None:
    """A folder where a file should be is what not even root can read."""
    spoilt(folder, "ca.pem", None)
    (folder / "ca.pem").mkdir()


BROKEN: dict[str, Callable[[Path], None]] = {
    "empty": configured(b""),
    "no object": configured(b"[]"),
    "no driver": configured(b"{}"),
    "no list of labels": altered(("HostOptions", "EngineOptions", "Labels"), {"a": "b"}),
    "a label that is not a text": altered(("HostOptions", "EngineOptions", "Labels"), ["a=b", 7]),
    "no object of options": altered(("HostOptions",), "none"),
    "a port that is a text": altered(("Driver", "SSHPort"), "2222"),
    "a port that is a fraction": altered(("Driver", "EnginePort"), 2376.5),
    "a port that is true": altered(("Driver", "SSHPort"), True),
    "a port with many digits": altered(("Driver", "SSHPort"), 10**400),
    "an address that is an option": altered(("Driver", "IPAddress"), "-oProxyCommand=x"),
    "an address that is a number": altered(("Driver", "IPAddress"), 7),
    "of a newer version": configured(b'{"ConfigVersion": 4}'),
    "of no version": configured(b'{"ConfigVersion": true}'),
    "cut off": configured(b'{"ConfigVersion": 3, "Driver": {'),
    "nested deeply": configured(b"[" * 100_000),
    "half a character": configured(b'{"Name": "\\ud800"}'),
    "large": configured(b" " * 2_000_000),
    "without a config": configured(None),
    "a folder in the place of a certificate": unreadable,
    "a folder in its place": folder_instead,
    "a pipe in its place": pipe_instead,
    "a link in a circle": circle_instead,
    "a key that is not the certificate's": lambda folder: spoilt(folder, "key.pem", key_file(2)),
    "a certificate that is not one": lambda folder: spoilt(folder, "cert.pem", b"x"),
    "an authority of others": lambda folder: spoilt(folder, "ca.pem", (folder / "server.pem").read_bytes()),
}


@pytest.mark.parametrize("harm", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_entry_is_skipped_with_its_reason_and_costs_no_other(
    person: Person, theirs: TheirStore, harm: Callable[[Path], None]
) -> None:
    theirs.machine("good")
    harm(theirs.machine("bad"))
    assert person.run("-y") == 0
    assert " bad: " in person.said()[1]
    assert person.machine("good").phase is Phase.READY
    assert person.run("-y", "bad") == 3, "named alone it is an error"


@pytest.mark.parametrize("place", ["config.json", "ca.pem"])
def test_what_is_in_the_way_is_named(person: Person, theirs: TheirStore, place: str) -> None:
    theirs.machine("good")
    folder = theirs.machine("bad")
    spoilt(folder, place, None)
    (folder / place).mkdir()
    assert person.run("-y") == 0
    assert str(folder / place) in person.said()[1]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("Labels", ["rack"]), ("ArbitraryFlags", ["nonsense"]), ("ArbitraryFlags", ["tlsverify=false"]),
        ("Env", ["A"]), ("RegistryMirror", ["mirror"]), ("InsecureRegistry", ["http://x/y"]),
        ("StorageDriver", "over lay"),
        ("InstallURL", "ftp://x/y"),
    ],
)  # fmt: skip
def test_an_option_that_no_set_up_takes_is_told_of_at_once(
    person: Person, theirs: TheirStore, option: str, value: object
) -> None:
    theirs.engine = {option: value}
    theirs.machine("web")
    assert person.run("--dry-run", "--json") == 0
    (web,) = json.loads(person.said()[0])
    assert len(web["notes"]) == 1


@pytest.mark.parametrize("harm", [None, b"", b"root:x:0:0:root:/root:/bin/sh\n", "folder"])
def test_without_a_login_key_the_engine_can_be_used_all_the_same(
    person: Person, theirs: TheirStore, harm: bytes | str | None
) -> None:
    folder = theirs.machine("web")
    spoilt(folder, "id_rsa", harm if isinstance(harm, bytes) else None)
    if harm == "folder":
        (folder / "id_rsa").mkdir()
    assert person.run("-y") == 0
    assert "SSH key" in person.said()[0]
    assert LOGIN_KEY not in person.secrets("web")


def test_no_other_file_of_this_computer_is_taken_for_a_key(
    person: Person, theirs: TheirStore, tmp_path: Path
) -> None:
    (tmp_path / "private").write_text("not a key")
    folder = theirs.machine("web", SSHKeyPath=str(tmp_path / "private"))
    assert person.run("-y") == 0
    assert person.secrets("web")[LOGIN_KEY] == (folder / "id_rsa").read_bytes()


def test_certificates_that_are_nowhere_are_a_reason(person: Person, theirs: TheirStore) -> None:
    folder = theirs.machine("web")
    (folder / "key.pem").unlink()
    (theirs.folder / "certs/key.pem").unlink()
    assert person.run("-y") == 3
    assert "key.pem" in person.said()[1]


def test_copies_that_are_missing_are_taken_from_certs(person: Person, theirs: TheirStore) -> None:
    folder = theirs.machine("web")
    for file in ("ca.pem", "cert.pem", "key.pem"):
        (folder / file).unlink()
    assert person.run("-y") == 0
    assert person.secrets("web")["key.pem"] == key_file(1)


@pytest.mark.parametrize("harm", [None, key_file(2)], ids=["missing", "another one"])
def test_without_the_authoritys_key_it_comes_over_and_that_is_said(
    person: Person, theirs: TheirStore, harm: bytes | None
) -> None:
    theirs.machine("web")
    spoilt(theirs.folder / "certs", "ca-key.pem", harm)
    assert person.run("-y") == 0
    assert "authority" in person.said()[0]
    assert "ca-key.pem" not in person.secrets("web")


def test_an_authority_that_ended_is_told_of(person: Person, theirs: TheirStore) -> None:
    folder = theirs.machine("web")
    files = theirs.certs(life=timedelta(days=7))
    spoilt(folder, "ca.pem", files["ca.pem"])
    assert person.run("-y") == 0
    assert "2026-11-08" in person.said()[0]


def test_a_machine_of_another_driver_is_reached_and_not_made(person: Person, theirs: TheirStore) -> None:
    theirs.machine("do", "digitalocean", DropletID=7)
    theirs.machine("off", "virtualbox", IPAddress="")
    assert person.run("-y") == 0
    out, err = person.said()
    assert "driver ssh" in out
    assert " off: " in err
    assert person.machine("do").driver == "ssh"


def test_an_instance_of_amazonec2_is_followed_by_its_id(person: Person, theirs: TheirStore) -> None:
    theirs.machine("web", "amazonec2", InstanceId="i-0123456789abcdef0", KeyName="web", SSHUser="ubuntu", SSHPort=22)
    theirs.machine("half", "amazonec2", InstanceId="")
    assert person.run("-y") == 0
    assert " half: " in person.said()[1]
    machine = person.machine("web")
    assert machine.handle is not None
    assert (machine.driver, machine.handle["instance"], machine.handle["key_pair"], machine.handle["id"]) == (
        "aws", "i-0123456789abcdef0", "web", machine.id,
    )  # fmt: skip
    assert machine.ssh is not None
    assert machine.ssh.key_path == LOGIN_KEY


@pytest.mark.parametrize("driver", ["kvm", "kvm2"])
def test_a_virtual_machine_of_libvirts_comes_over_with_its_switch(
    person: Person, theirs: TheirStore, driver: str
) -> None:
    disk = f"{theirs.home}/machines/vm/vm.img"
    theirs.machine("vm", driver, SSHUser="docker", Memory=1024, DiskSize=20000, CPU=1, DiskPath=disk)
    theirs.machine("half", driver)
    assert person.run("-y") == 0
    assert " half: " in person.said()[1]
    machine = person.machine("vm")
    assert machine.handle is not None
    assert (machine.driver, machine.handle["disk"], machine.options["kvm_memory"]) == ("kvm", disk, "1024M")


def test_an_engine_of_somebody_else_comes_over_with_and_without_certificates(
    person: Person, theirs: TheirStore
) -> None:
    theirs.machine("with", "none", URL="tcp://192.0.2.9:4243", IPAddress="192.0.2.9:4243")
    bare = theirs.machine("bare", "none", URL="tcp://192.0.2.9:2376")
    for file in ("ca.pem", "cert.pem", "key.pem"):
        (bare / file).unlink()
    shutil.rmtree(theirs.folder / "certs")
    assert person.run("-y") == 0
    assert person.machine("with").driver == "none"
    assert person.machine("with").endpoint == Endpoint("192.0.2.9", 4243)
    assert sorted(person.secrets("with")) == ["ca.pem", "cert.pem", "key.pem"]
    assert person.secrets("bare") == {}


def test_what_is_there_already_stays(person: Person, theirs: TheirStore) -> None:
    theirs.machine("web")
    assert person.run("-y") == 0
    first = person.machine("web")
    theirs.machine("web2")
    assert person.run("-y") == 0
    assert " web: " in person.said()[1]
    assert person.machine("web") == first


def test_the_key_of_the_user_is_taken_where_the_machine_has_none(person: Person, theirs: TheirStore) -> None:
    own = person.home / "deploy_key"
    own.write_bytes(key_file(4))
    folder = theirs.machine("web", SSHKey=str(own), SSHKeyPath=f"{theirs.home}/machines/web/deploy_key")
    (folder / "id_rsa").unlink()
    assert person.run("-y") == 0
    assert person.secrets("web")[LOGIN_KEY] == key_file(4)
    (own).unlink()
    theirs.machine("agent", SSHKeyPath="")
    (theirs.folder / "machines/agent/id_rsa").unlink()
    assert person.run("-y", "agent") == 0
    assert LOGIN_KEY not in person.secrets("agent")
    ssh = person.machine("agent").ssh
    assert ssh is not None
    assert ssh.key_path is None


@pytest.mark.parametrize("home", ["C:\\Users\\ann\\.docker\\machine", "{{STORAGE}}", "/root/old store/[x]"])
def test_paths_of_another_computer_lead_to_the_files_here(person: Person, theirs: TheirStore, home: str) -> None:
    theirs.home = home
    theirs.machine("web")
    assert person.run("-y") == 0
    assert {"ca-key.pem", "server.pem", LOGIN_KEY} <= person.secrets("web").keys()


def test_a_path_that_leads_out_of_the_store_is_not_followed_there(person: Person, theirs: TheirStore) -> None:
    (person.home / "outside.pem").write_bytes(key_file(4))
    theirs.machine("web", SSHKeyPath=f"{theirs.home}/machines/web/../../../../outside.pem", SSHKey="x")
    (theirs.folder / "machines/web/id_rsa").unlink()
    assert person.run("-y") == 0
    assert LOGIN_KEY not in person.secrets("web")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A machine as machine-share packs it: its files, ``certs``, and a mark for the folder of the store."""
    store = TheirStore(tmp_path / "packed", home="{{STORAGE}}")
    folder = store.machine("web")
    config = json.loads((folder / "config.json").read_text())
    auth = config["HostOptions"]["AuthOptions"]
    for name, path in auth.items():
        if isinstance(path, str) and "/certs/" in path:
            auth[name] = path.replace("/certs/", "/certs/web/")
    packed = tmp_path / "web.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in folder.iterdir():
            archive.writestr(path.name, json.dumps(config) if path.name == "config.json" else path.read_bytes())
        for path in (store.folder / "certs").iterdir():
            archive.writestr(f"certs/{path.name}", path.read_bytes())
    return packed


def test_a_zip_of_machine_share_comes_over(person: Person, shared: Path) -> None:
    assert person.run(str(shared), "-y") == 0
    assert sorted(person.secrets("web")) == sorted(
        ["ca.pem", "cert.pem", "key.pem", "ca-key.pem", "server.pem", "server-key.pem", LOGIN_KEY]
    )


def test_a_damaged_zip_and_what_is_no_store_are_refused(person: Person, shared: Path) -> None:
    data = shared.read_bytes()
    shared.write_bytes(data[:300] + b"\0" * 200 + data[500:])
    assert person.run(str(shared), "-y") == 3
    (person.home / "x.zip").write_bytes(b"no zip")
    assert person.run(str(person.home / "x.zip")) == 2
    assert person.run(str(person.home / "nowhere")) == 2
    (person.home / "empty/machines").mkdir(parents=True)
    assert person.run(str(person.home / "empty")) == 3


def test_names_that_are_not_there_and_other_sources_are_usage_errors(person: Person, theirs: TheirStore) -> None:
    theirs.machine("web")
    assert person.run("-y", "nope") == 2
    assert "web" in person.said()[1]
    assert main(["-s", str(person.home / "ours"), "import"]) == 2
    assert main(["-s", str(person.home / "ours"), "import", "vagrant"]) == 2


def test_json_lists_what_is_imported_and_what_is_skipped(person: Person, theirs: TheirStore) -> None:
    theirs.machine("web")
    theirs.config("bad", b"{}")
    assert person.run("-y", "--json") == 0
    taken, skipped = json.loads(person.said()[0])
    assert (taken["name"], taken["was"], taken["driver"], taken["url"]) == (
        "web", "generic", "ssh", "tcp://192.0.2.7:2376",
    )  # fmt: skip
    assert (skipped["name"], "driver" in skipped["skipped"]) == ("bad", True)


def test_an_import_in_place_gives_the_folder_to_the_view_and_leaves_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "machine"
    theirs = TheirStore(place)
    for name in ("web", "db"):
        theirs.machine(name)
    place.chmod(0o700)
    wiring = Wiring(now=lambda: NOW, asker=FakeAsker(yes=True))
    assert main(["-s", str(place), "compat", "view", "on"], wiring=wiring) == 0
    before = json.loads((place / "machines/web/config.json").read_text())
    assert main(["-s", str(place), "import", "docker-machine", str(place), "web"], wiring=wiring) == 0
    after = json.loads((place / "machines/web/config.json").read_text())
    assert after["Driver"]["IPAddress"] == before["Driver"]["IPAddress"]
    assert after["HostOptions"]["AuthOptions"]["StorePath"] == str(place / "certs/web")
    assert json.loads((place / "machines/.web.docker-machine/config.json").read_text()) == before
    assert main(["-s", str(place), "inspect", "db"], wiring=wiring) == 4
    assert f"import docker-machine {place} db" in capsys.readouterr().err
    assert main(["-s", str(place), "compat", "view", "off"], wiring=wiring) == 0
    assert json.loads((place / "machines/web/config.json").read_text()) == before
