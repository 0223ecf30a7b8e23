"""The source of the engine: Docker's packages, the distribution's, a script, or an installed engine. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from pymachine.engine.facts import DOCKER_REPO
from pymachine.engine.host_facts import HostFacts
from pymachine.engine.os_family import DockerRepo, Family, distro_packages, docker_repo, family_of
from pymachine.errors import CheckFailed, UsageFault
from pymachine.model import EngineSpec
from pymachine.redaction import hidden_in_url

DOCKER_PACKAGES = ("docker-ce", "docker-ce-cli", "containerd.io")

# Beside the engine: what it needs to run any container, iptables for networks and ca-certificates for registries.
# Recommended packages beyond these and the extras (needrestart, cgroupfs-mount, rootless extras) only cost time. Not
# installed where the name is unknown.
_COMPANIONS = {
    Family.APT: ("iptables", "ca-certificates"),
    Family.DNF: ("iptables",),
    Family.ZYPPER: ("iptables", "ca-certificates"),
    Family.PACMAN: ("iptables", "ca-certificates"),
    Family.APK: ("iptables", "ca-certificates"),
}
# What the engine calls on occasion: ps for `docker top`, xz for `ADD x.tar.xz`, git for `docker build URL`. They
# follow when the engine runs already.
_EXTRAS = {
    Family.APT: ("procps", "xz-utils", "git"),
    Family.DNF: ("procps-ng", "xz", "git-core"),
    Family.ZYPPER: ("xz",),
    Family.PACMAN: ("xz",),
    Family.APK: ("xz",),
}


@dataclass(frozen=True, slots=True)
class EngineSource:
    """The source of the engine. ``kind`` is docker, distro, none, url or script.

    ``reason`` is set if ``auto`` chose. ``packages`` are installed; ``companions`` too, if they exist, and ``extras``
    after the engine has started. ``repo`` and ``base`` locate Docker's repository; ``own_repo`` says that the user
    already configured it.
    """

    kind: str
    reason: str = ""
    packages: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    repo: DockerRepo | None = None
    base: str = DOCKER_REPO
    own_repo: bool = False
    url: str = ""
    script: str = ""

    @property
    def place(self) -> str:
        """``base`` without a user, for files and messages that everybody may read."""
        parts = urlsplit(self.base)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password for ``base``, None if it has none."""
        parts = urlsplit(self.base)
        return (unquote(parts.username), unquote(parts.password or "")) if parts.username else None

    @property
    def script_place(self) -> str:
        """``url`` in a form that may be shown."""
        return hidden_in_url(self.url)

    @property
    def repo_host(self) -> str:
        """The host name for package pins."""
        return urlsplit(self.base).hostname or ""

    @property
    def title(self) -> str:
        """Its name in a sentence."""
        names = {
            "docker": f"Docker's packages ({self.place})",
            "distro": "the distribution's packages",
            "none": "the installed engine",
            "url": f"the script at {self.script_place}",
            "script": "the given script",
        }
        return names[self.kind]


def choose_source(spec: EngineSpec, facts: HostFacts, *, before: str | None = None) -> EngineSource:
    """Choose the source. ``before`` is the kind from which an earlier set-up of this machine installed the engine.

    Raises ``UsageFault`` for an unknown source, ``CheckFailed`` for one that this host cannot use.
    """
    wanted = _explicit(spec)
    if before in ("docker", "distro") and wanted in ("auto", before):
        return _MAKERS[before](spec, facts)  # again: finishes what was cut off, else there is nothing to do
    if facts.engine is not None:
        return _present(wanted, facts)
    return _MAKERS[wanted](spec, facts) if wanted != "auto" else _automatic(spec, facts)


def _explicit(spec: EngineSpec) -> str:
    install = spec.install
    if install.startswith(("https://", "http://")):
        return "url"
    if install.startswith("script:") or spec.install_script is not None:
        return "script"
    if install not in ("auto", "docker", "distro", "none"):
        raise UsageFault(
            f"unknown engine source {install!r}",
            hint="give auto, docker, distro, none, an https:// URL or a script file",
        )
    if spec.repo_url and install in ("distro", "none"):
        raise UsageFault(f"--engine-repo-url means Docker's packages, --engine-install {install} does not")
    return "docker" if spec.repo_url else install


def _present(wanted: str, facts: HostFacts) -> EngineSource:
    engine = facts.engine
    assert engine is not None
    clash = {"docker": "docker-ce", "distro": "; ".join(distro_packages(facts.os)[:1])}.get(wanted)
    if clash and engine.package and engine.package != clash:
        raise CheckFailed(
            f"{engine.package} {engine.package_version} is installed and would have to be removed for {clash}",
            hint="use --engine-install auto to adopt the installed engine, or remove it yourself first",
        )
    owner = f"{engine.package} {engine.package_version}".strip() or engine.dockerd
    return EngineSource("none", reason=owner)


def _automatic(spec: EngineSpec, facts: HostFacts) -> EngineSource:
    repo = docker_repo(facts.os, facts.debian_version)
    if repo and (facts.repository is None or repo in facts.repository):
        return _docker(spec, facts, reason=f"Docker has packages for {repo.distro} {repo.suite}".strip())
    why = "Docker's package repository cannot be reached from the host" if repo else "Docker has none for this system"
    if distro_packages(facts.os):
        return _distro(spec, facts, reason=why)
    raise CheckFailed(
        f"no engine packages for {facts.os.pretty}: {why}, and the distribution has none of its own",
        hint="give a mirror with --engine-repo-url, a proxy with --https-proxy, or a script with --engine-install",
    )


def _docker(spec: EngineSpec, facts: HostFacts, reason: str = "") -> EngineSource:
    family = family_of(facts.os)
    repo = docker_repo(facts.os, facts.debian_version)
    if repo is None:
        raise CheckFailed(
            f"Docker has no packages for {facts.os.pretty or facts.os.id}", hint="use --engine-install distro"
        )
    configured = facts.docker_sources
    if configured and spec.repo_url:
        raise CheckFailed(
            f"Docker's repository is configured on the host already: {', '.join(configured)}",
            hint="remove that source, or omit --engine-repo-url to use it as it is",
        )
    base = (spec.repo_url or DOCKER_REPO).rstrip("/").removesuffix(f"/linux/{repo.distro}")
    companions, extras = _companions(family, facts), _EXTRAS[family]
    source = EngineSource("docker", reason, DOCKER_PACKAGES, companions, extras, repo, base, bool(configured))
    if source.login and not all(word.isprintable() and " " not in word for word in source.login):
        raise UsageFault(
            "--engine-repo-url: package managers take a user and a password without blanks",
            hint="write it as https://USER:PASSWORD@HOST/…",
        )
    return source


def _distro(spec: EngineSpec, facts: HostFacts, reason: str = "") -> EngineSource:
    packages = distro_packages(facts.os)
    if not packages:
        raise CheckFailed(
            f"{facts.os.pretty or facts.os.id} has no engine packages of its own", hint="use --engine-install docker"
        )
    family = family_of(facts.os)
    client = ("docker-cli",) if family is Family.APT else ()  # a package of its own from Debian 13 on
    return EngineSource("distro", reason, packages, (*client, *_companions(family, facts)), _EXTRAS[family])


def _companions(family: Family, facts: HostFacts) -> tuple[str, ...]:
    guard = ("apparmor",) if facts.apparmor and family is Family.APT else ()  # else containers run unconfined
    return (*guard, *_COMPANIONS[family])


def _none(spec: EngineSpec, facts: HostFacts) -> EngineSource:
    raise CheckFailed(
        "there is no Docker engine on the host, and --engine-install none does not install one",
        hint="install one first, or use --engine-install auto",
    )


def _script(spec: EngineSpec, facts: HostFacts) -> EngineSource:
    if spec.install_script is not None:
        return EngineSource("script", script=spec.install_script)
    if not spec.install.startswith("http"):
        raise UsageFault(f"the text of {spec.install.removeprefix('script:')} is missing")
    return EngineSource("url", url=spec.install)


_MAKERS = {"docker": _docker, "distro": _distro, "none": _none, "url": _script, "script": _script}
