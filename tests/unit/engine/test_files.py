"""The shell that replaces files of others, and that says beforehand where it cannot: run here, under two shells."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from patience import LIMIT
from pymachine.engine.obstacles import Obstacle, Reason, check_replaceable
from pymachine.errors import CheckFailed
from pymachine.templates import render

Shell = Callable[..., subprocess.CompletedProcess[str]]
SHELLS = [shell for shell in (("dash",), ("busybox", "sh"), ("bash",)) if shutil.which(shell[0])] or [("sh",)]
ACL = "system.posix_acl_access"
# Version 2; owner rw, user 1 r, group r, mask r, others nothing: tag, rights and id of each.
NAMED = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, rights, who)
    for tag, rights, who in (
        (1, 6, 0xFFFFFFFF),
        (2, 4, 1),
        (4, 4, 0xFFFFFFFF),
        (16, 4, 0xFFFFFFFF),
        (32, 0, 0xFFFFFFFF),
    )
)


@pytest.fixture(params=SHELLS, ids=[" ".join(shell) for shell in SHELLS])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    """Runs a function of the templates under one of the shells that hosts have."""
    script = tmp_path / "functions.sh"
    names = ("_files", "_obstacle", "_sources")
    texts = [
        render(f"engine/{name}.sh.j2").replace("/etc/apt/", f"{tmp_path}/apt/").replace("/etc/yum", f"{tmp_path}/yum")
        for name in names
    ]
    script.write_text("\n".join(texts) + '\nbounded() { "$@"; }\n"$@"\n')

    def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [*request.param, str(script), *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=LIMIT, env={**os.environ, **environment}
        )

    return run


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    file = tmp_path / "staged"
    file.write_text("new\n")
    return file


def managed(tmp_path: Path) -> tuple[Path, Path]:
    """A link, as configuration management makes them, and the file that it leads to, over a second link."""
    file = tmp_path / "managed" / "daemon.json"
    file.parent.mkdir()
    file.write_text("old\n")
    file.chmod(0o640)
    (tmp_path / "current").symlink_to("managed")
    link = tmp_path / "docker" / "daemon.json"
    link.parent.mkdir()
    link.symlink_to("../current/daemon.json")
    return link, file


class TestReplace:
    def test_goes_through_links_and_keeps_what_the_file_has(self, shell: Shell, staged: Path, tmp_path: Path) -> None:
        link, file = managed(tmp_path)
        if os.getuid() == 0:
            os.chown(file, 3, 4)
        before = file.stat()

        assert shell("replace_file", staged, link, "644").returncode == 0

        after = file.stat()
        assert file.read_text() == "new\n"
        assert str(link.readlink()) == "../current/daemon.json"
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
        assert after.st_ino != before.st_ino, "in one move: no moment at which half of it is there"
        assert sorted(path.name for path in file.parent.iterdir()) == ["daemon.json"]

    def test_keeps_an_acl(self, shell: Shell, staged: Path, tmp_path: Path) -> None:
        _, file = managed(tmp_path)
        try:
            os.setxattr(file, ACL, NAMED)
        except OSError:
            pytest.skip("this file system has no ACLs")

        assert shell("replace_file", staged, file, "644").returncode == 0

        assert file.read_text() == "new\n"
        assert os.getxattr(file, ACL) == NAMED

    def test_of_the_same_content_touches_nothing(self, shell: Shell, staged: Path, tmp_path: Path) -> None:
        link, file = managed(tmp_path)
        file.write_text("new\n")
        before = file.stat()

        assert shell("replace_file", staged, link, "644").returncode == 1

        after = file.stat()
        assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns), "it was read, and no more"

    @pytest.mark.skipif(os.getuid() != 0, reason="files of root")
    def test_makes_what_is_private_roots_alone_whatever_was_there(
        self, shell: Shell, staged: Path, tmp_path: Path
    ) -> None:
        link, file = managed(tmp_path)
        file.chmod(0o664)
        os.chown(file, 0, 4)

        assert shell("replace_file", staged, link, "600").returncode == 0

        assert (oct(file.stat().st_mode), file.stat().st_gid) == ("0o100600", 0)

    def test_makes_a_new_file_and_the_folders_on_the_way(self, shell: Shell, staged: Path, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "etc").symlink_to("elsewhere")

        assert shell("replace_file", staged, tmp_path / "etc" / "a b" / "c", "644").returncode == 0

        file = tmp_path / "elsewhere" / "a b" / "c"
        assert (file.read_text(), oct(file.stat().st_mode)) == ("new\n", "0o100644")

    @pytest.mark.parametrize("kind", ["folder", "loop", "fifo"])
    def test_leaves_what_is_no_file_as_it_is(self, shell: Shell, staged: Path, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "there"
        if kind == "folder":
            path.mkdir()
        elif kind == "loop":
            path.symlink_to("there")
        else:
            os.mkfifo(path)

        assert shell("replace_file", staged, path, "644").returncode == 2

        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["functions.sh", "staged", "there"]
        assert not path.is_dir() or not list(path.iterdir())


class TestObstacles:
    def found(self, shell: Shell, *paths: Path) -> dict[str, tuple[str, str]]:
        done = shell("obstacles", *paths)
        assert (done.returncode, done.stderr) == (0, "")
        rows = (line.split("\t") for line in done.stdout.splitlines())
        return {Path(path).name: (Reason(reason), Path(where).name) for path, reason, where in rows}

    def test_there_are_none_where_files_can_be_replaced_or_made(self, shell: Shell, tmp_path: Path) -> None:
        link, file = managed(tmp_path)
        file.chmod(0o400)
        new = [tmp_path / "new", tmp_path / "current" / "new", tmp_path / "a b" / "c" / "d"]

        assert self.found(shell, link, file, *new) == {}

    def test_links_to_nothing_and_names_of_other_things_are(self, shell: Shell, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        (tmp_path / "folder").mkdir()
        (tmp_path / "loop").symlink_to("other")
        (tmp_path / "other").symlink_to("loop")
        (tmp_path / "dangling").symlink_to("nowhere")
        (tmp_path / "masked").symlink_to("/dev/null")
        (tmp_path / "one").touch()
        (tmp_path / "two").hardlink_to(tmp_path / "one")
        (tmp_path / "toone").symlink_to("one")
        names = ("loop", "dangling", "folder", "masked", "two", "toone", "dangling/a", "dangling/b/c", "file/d")

        assert self.found(shell, *(tmp_path / name for name in names)) == {
            "loop": (Reason.DANGLING, "loop"),
            "dangling": (Reason.DANGLING, "dangling"),
            "folder": (Reason.NO_FILE, "folder"),
            "masked": (Reason.NO_FILE, "null"),
            "two": (Reason.HARD_LINKED, "two"),
            "toone": (Reason.HARD_LINKED, "one"),
            "a": (Reason.DANGLING, "dangling"),
            "c": (Reason.DANGLING, "dangling"),
            "d": (Reason.NO_FOLDER, "file"),
        }

    @pytest.mark.skipif(os.getuid() != 0 or not shutil.which("chattr"), reason="only root sets flags")
    def test_what_nobody_may_change_is_one(self, shell: Shell, tmp_path: Path) -> None:
        for name in ("fixed", "grows", "logs"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "file").touch()
        flags = {tmp_path / "fixed" / "file": "i", tmp_path / "grows" / "file": "a", tmp_path / "logs": "a"}
        try:
            if any(subprocess.run(["chattr", f"+{flag}", path]).returncode for path, flag in flags.items()):
                pytest.skip("this file system has no such flags")
            found = self.found(shell, *(tmp_path / name / "file" for name in ("fixed", "grows", "logs")))
            assert found == {"file": (Reason.IMMUTABLE, "logs")}
            assert self.found(shell, tmp_path / "fixed" / "file")["file"] == (Reason.IMMUTABLE, "file")
            assert self.found(shell, tmp_path / "grows" / "file")["file"] == (Reason.IMMUTABLE, "file")
            assert self.found(shell, tmp_path / "logs" / "new")["new"] == (Reason.IMMUTABLE, "logs")
        finally:
            for path, flag in flags.items():
                subprocess.run(["chattr", f"-{flag}", path], check=False)

    def test_nothing_is_tried_out(self, shell: Shell, tmp_path: Path) -> None:
        link, file = managed(tmp_path)
        before = (file.stat(), file.parent.stat(), link.parent.stat())

        self.found(shell, link, file, link.parent / "new")

        assert (file.stat(), file.parent.stat(), link.parent.stat()) == before

    def test_are_named_together_with_what_is_in_the_way(self) -> None:
        found = {"/etc/hosts": Obstacle(Reason.MOUNTED, "/etc/hosts"), "/a": Obstacle(Reason.IMMUTABLE, "/srv/a")}

        check_replaceable(found, ["/etc/hostname"])
        with pytest.raises(CheckFailed) as refused:
            check_replaceable(found, ["/a", "/etc/hosts"])

        assert all(path in refused.value.message for path in ("/a: /srv/a ", "/etc/hosts "))
        assert "--keep-hostname" in (refused.value.hint or "")


DOCKERS = "https://download.docker.com/linux/debian"
HEADER = "# Made by pymachine; removed with the machine.\n"
ENTRY = f"Types: deb\nURIs: {DOCKERS}\nSuites: trixie\nComponents: stable\n"


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is not here")
class TestAptSources:
    @pytest.fixture(autouse=True)
    def folders(self, tmp_path: Path) -> None:
        (tmp_path / "apt" / "sources.list.d").mkdir(parents=True)
        (tmp_path / "apt.conf").write_text('Dir::Etc::sourcelist "/dev/null";\n')

    def ask(self, shell: Shell, tmp_path: Path, **files: str) -> list[str]:
        for name, text in files.items():
            (tmp_path / "apt" / "sources.list.d" / name.replace("_", ".")).write_text(text)
        (tmp_path / "tmp").mkdir(exist_ok=True)
        return shell(
            "docker_sources", APT_CONFIG=str(tmp_path / "apt.conf"), TMPDIR=str(tmp_path / "tmp")
        ).stdout.splitlines()

    @pytest.mark.parametrize(
        "files",
        [
            {"docker_list": f"# deb {DOCKERS} trixie stable\n"},
            {"docker_list_save": f"deb {DOCKERS} trixie stable\n"},
            {"docker_list_disabled": f"deb {DOCKERS} trixie stable\n"},
            {"docker_sources": f"{ENTRY}Enabled: no\n"},
            {"docker_list": f"deb [arch=sparc64] {DOCKERS} trixie stable\n"},
            {"docker_list": "deb tor+http://example.onion/debian trixie main\n"},
            {"notes_txt": f"deb {DOCKERS} trixie stable\n"},
            {"docker_list": f"deb-src {DOCKERS} trixie stable\n", "extra_sources": "# download.docker.com\n"},
            {"other_list": "deb https://example.com/debian trixie main # was download.docker.com/linux\n"},
            {"docker_sources": HEADER + ENTRY},
        ],
    )
    def test_what_apt_does_not_use_or_is_ours_does_not_count(
        self, shell: Shell, tmp_path: Path, files: dict[str, str]
    ) -> None:
        assert self.ask(shell, tmp_path, **files) == []

    @pytest.mark.parametrize(
        ("text", "uri"),
        [
            (f"deb [arch=amd64] {DOCKERS} trixie stable\n", DOCKERS),
            (f"deb {DOCKERS}/ trixie stable\n", DOCKERS),
            (
                "deb http://mirror.lan/docker-ce/linux/debian trixie stable\n",
                "http://mirror.lan/docker-ce/linux/debian",
            ),
            (
                "deb http://me:secret@m.lan/docker-ce/linux/debian trixie test\n",
                "http://m.lan/docker-ce/linux/debian",
            ),
            (f"deb tor+http://example.onion/debian trixie main\ndeb {DOCKERS} trixie stable\n", DOCKERS),
            ("deb http://10.0.0.1:8000/linux/ubuntu noble stable\n", "http://10.0.0.1:8000/linux/ubuntu"),
        ],
    )
    def test_what_it_uses_does_beside_ours_too(self, shell: Shell, tmp_path: Path, text: str, uri: str) -> None:
        assert self.ask(shell, tmp_path, their_list=text) == [uri]
        ours = (HEADER + ENTRY).replace(DOCKERS, "https://ours.lan/linux/debian")
        assert self.ask(shell, tmp_path, ours_sources=ours) == [uri]
        assert list((tmp_path / "tmp").iterdir()) == [], "nothing of the question is left"

    def test_a_source_that_apt_cannot_read_is_told_as_such(self, shell: Shell, tmp_path: Path) -> None:
        told = self.ask(shell, tmp_path, bad_list="deb http://x\n")

        assert len(told) == 1
        assert told[0].startswith("fault ")
        assert "bad.list" in told[0]


def test_dnf_says_which_sources_are_enabled(shell: Shell, tmp_path: Path) -> None:
    folder, programs = tmp_path / "yum.repos.d", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    address = "https://{0}@download.docker.com/{0}"
    section = f"[{{0}}]\nname = Docker\n#baseurl={DOCKERS}\nbaseurl = {address}\n"
    sections = [
        section.format(name) for name in ("docker-ce-stable", "docker-ce-test", "pymachine-docker-ce", "mine")
    ]
    (folder / "docker-ce.repo").write_text("\n".join(sections))
    (folder / "old.repo.save").write_text(sections[0].replace("docker-ce-stable]", "mine]"))
    dnf = programs / "dnf"
    rows = "'repo id  repo name' '!docker-ce-stable/9/x86_64  D' 'pymachine-docker-ce  P' 'mine M'"
    dnf.write_text(f"#!/bin/sh\nprintf '%s\\n' {rows}\n")
    dnf.chmod(0o755)

    done = shell("rpm_sources", "dnf", PATH=f"{programs}:{os.environ['PATH']}")

    assert done.stdout.splitlines() == [
        "https://docker-ce-stable@download.docker.com/docker-ce-stable",
        "https://mine@download.docker.com/mine",
    ]
