"""Hosts to play with: python -m lab up demo --detach, then ssh, ls and down. Run as root from the tests folder."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lab import libvirtd
from lab.aptrepo import start_aptrepo
from lab.client import docker_cli
from lab.core import Lab
from lab.debs import engine_template
from lab.host import Host
from lab.images import busybox_binary
from lab.leftovers import sweep
from lab.options import HostSpec
from lab.prepare import ensure, ensure_packages, missing_for_machines, require_root
from lab.registry import start_registry
from lab.sh import LabError
from lab.template import SUITES, template


def describe(lab: Lab) -> dict[str, object]:
    """What --json prints of a lab."""
    return {
        "name": lab.name,
        "id": lab.id,
        "live": lab.record.live(),
        "detached": lab.record.owner is None,
        "address": lab.address,
        "address6": lab.address6,
        "key": str(lab.key),
        "hosts": [_describe_host(host) for host in lab.hosts],
    }


def _describe_host(host: Host) -> dict[str, object]:
    return {
        "name": host.name,
        "suite": host.suite,
        "address": host.address,
        "address6": host.address6,
        "user": host.user,
        "port": host.ssh_port,
        "key": str(host.key),
        "host_keys": [path.read_text().strip() for path in sorted(host.root.glob("etc/ssh/ssh_host_*_key.pub"))],
        "root": str(host.root),
        "running": host.running,
    }


def _print_labs(labs: Sequence[Lab], *, as_json: bool, single: bool = False) -> None:
    if as_json:
        shown = [describe(lab) for lab in labs]
        print(json.dumps(shown[0] if single else shown, indent=2))
        return
    for lab in labs:
        state = "detached" if lab.record.owner is None else "attached" if lab.record.live() else "left over"
        print(f"{lab.name}  {lab.id}  {lab.record.v4}  {state}  key {lab.key}")
        for host in lab.hosts:
            power = "on" if host.running else "off"
            print(
                f"  {host.name}  {host.suite}  {host.user}@{host.address}:{host.ssh_port}  {host.address6}  {power}"
            )


def up(args: argparse.Namespace) -> int:
    """Make a lab with one or more hosts, and keep it until told otherwise."""
    sweep()
    names = [args.name] if args.hosts == 1 else [f"{args.name}{number}" for number in range(1, args.hosts + 1)]
    lab = Lab.create(args.name, detached=args.detach)
    try:
        lab.boot_many([HostSpec(name, args.suite, disk_limit=args.disk, engine=args.engine) for name in names])
    except BaseException:
        lab.close()
        raise
    _print_labs([lab], as_json=args.json, single=True)
    sys.stdout.flush()
    if args.detach:
        return 0
    with lab:
        print("lab: Ctrl-C ends it", file=sys.stderr)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


def ls(args: argparse.Namespace) -> int:
    """List the labs of this machine."""
    _print_labs(Lab.all(), as_json=args.json)
    return 0


def down(args: argparse.Namespace) -> int:
    """Remove one lab, or every detached and left over one."""
    require_root()
    labs = [Lab.attach(args.name)] if args.name else [lab for lab in Lab.all() if lab.record.owner is None]
    for lab in labs:
        lab.close()
    gone = [lab.name for lab in labs] + sweep()
    print(json.dumps(gone) if args.json else "".join(f"{name} is gone\n" for name in gone), end="")
    return 0


def ssh(args: argparse.Namespace) -> int:
    """Become an ssh to a host, named as HOST or LAB/HOST."""
    lab_name, _, host_name = args.name.rpartition("/")
    labs = [Lab.attach(lab_name)] if lab_name else Lab.all()
    hosts = [host for lab in labs for host in lab.hosts if host.name == host_name]
    if len(hosts) != 1:
        raise LabError(f"{len(hosts)} hosts are called {args.name}; python -m lab ls shows them")
    argv = hosts[0].ssh_argv(args.user)
    os.execvp(argv[0], [*argv, *([shlex.join(args.command)] if args.command else [])])


def serve(args: argparse.Namespace) -> int:
    """Serve a registry or Docker's packages beside a lab's hosts, until the lab is taken down."""
    lab = Lab.attach(args.name)
    address = start_registry(lab).address if args.what == "registry" else start_aptrepo(lab).base
    print(json.dumps({args.what: address}) if args.json else address)
    return 0


def docker(args: argparse.Namespace) -> int:
    """Print the path of a docker client for this machine."""
    print(docker_cli())
    return 0


def busybox(args: argparse.Namespace) -> int:
    """Print the path of a static busybox, enough to build an image FROM scratch."""
    print(busybox_binary())
    return 0


def libvirt(args: argparse.Namespace) -> int:
    """Start libvirt where it does not run, or stop what that started."""
    require_root()
    if args.what == "up":
        started = libvirtd.keep().pids
        print("libvirt is up" + (" (started for this)" if started else ""))
    else:
        print("libvirt is down again" if libvirtd.release() else "libvirt was not started here")
    return 0


def image(args: argparse.Namespace) -> int:
    """Build the image of virtual machines that tests share, unless it is there; prints its name."""
    from lab.kvm_fixtures import ensure_image

    with TemporaryDirectory() as folder:
        print(ensure_image(Path(folder)))
    return 0


def prepare(args: argparse.Namespace) -> int:
    """Install packages, remove leftovers and build templates."""
    require_root()
    if args.machines:
        installed = ensure(missing_for_machines)
        print(f"packages installed: {', '.join(installed) or 'none, all were there'}")
        return 0
    installed, removed = ensure_packages(tests=args.tests, build=args.build), sweep()
    suites = args.suite or ([] if args.no_templates else SUITES)
    templates = [str(engine_template(suite) if args.engine else template(suite)) for suite in suites]
    if args.json:
        print(json.dumps({"installed": installed, "removed": removed, "templates": templates}, indent=2))
    else:
        print(f"packages installed: {', '.join(installed) or 'none, all were there'}")
        print(f"host templates: {', '.join(suites) or 'none; each is built when it is needed first'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for action in (up, ls, down, ssh, serve, docker, busybox, libvirt, image, prepare, sweep_command):
        name = action.__name__.removesuffix("_command")
        command = commands.add_parser(name, help=action.__doc__)
        command.set_defaults(action=action)
        if action not in (ssh, docker, busybox, libvirt, image):
            command.add_argument("--json", action="store_true", help="print JSON")
        if action in (up, ssh, serve):
            command.add_argument("name")
        if action is serve:
            command.add_argument("what", choices=("registry", "packages"))
        if action is libvirt:
            command.add_argument("what", choices=("up", "down"))
        if action is prepare:
            _prepare_options(command)
        if action is down:
            command.add_argument("name", nargs="?")
        if action is ssh:
            command.add_argument("--user")
            command.add_argument("command", nargs="*")
        if action is up:
            _up_options(command)
    return parser


def _up_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--suite", choices=SUITES, default="trixie")
    command.add_argument("--hosts", type=int, default=1, help="how many; more than one are NAME1, NAME2 and so on")
    command.add_argument("--disk", type=int, metavar="MIB", help="limit each host's disk")
    command.add_argument("--engine", action="store_true", help="with Debian's docker.io installed")
    command.add_argument("--detach", action="store_true", help="leave it running; python -m lab down NAME ends it")


def _prepare_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tests", action="store_true", help="with what the tests need besides hosts")
    command.add_argument("--build", action="store_true", help="with what the Python packages are built with")
    command.add_argument("--suite", choices=SUITES, action="append", help="this template only; can be repeated")
    command.add_argument("--engine", action="store_true", help="the templates with an engine as well")
    command.add_argument("--machines", action="store_true", help="only packages, for a first virtual machine")
    command.add_argument("--no-templates", action="store_true", help="packages only")


def sweep_command(args: argparse.Namespace) -> int:
    """Remove what cut-off runs left behind."""
    require_root()
    gone = sweep()
    print(json.dumps(gone) if args.json else "".join(f"{name} is gone\n" for name in gone), end="")
    return 0


def main() -> int:
    """Run one command and turn what goes wrong into one line."""
    args = _parser().parse_args()
    try:
        return int(args.action(args))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
