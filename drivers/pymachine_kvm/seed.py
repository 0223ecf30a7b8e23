"""The seed: a small disk with cloud-init's files on it (its NoCloud data source). Secret: keys are on it."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Literal

from pymachine.cloudinit import (
    NOTHING,
    SharedFolder,
    Theirs,
    UserData,
    meta_data,
    network_config,
    read_theirs,
    settings,
    user_data,
)
from pymachine.driver import FirstBoot, Login
from pymachine.errors import DriverMissing
from pymachine_kvm.handle import Vm
from pymachine_kvm.options import DomainConfig

LABEL = "cidata"  # the file system label by which cloud-init finds it
SECRET_FILE = 0o100400  # a regular file for its owner's eyes


def read_user_data(wanted: DomainConfig) -> Theirs:
    """Return what ``--kvm-user-data`` comes to. Raises ``UsageFault``."""
    return NOTHING if wanted.user_data is None else read_theirs(wanted.user_data, "--kvm-user-data")


def check_seed(name: str, wanted: DomainConfig) -> None:
    """Raise ``UsageFault`` now for what ``seed_of`` would refuse once things are made."""
    nobody, something = Login("", "", b"-"), FirstBoot((), "true", early=True)
    user_data(UserData(name, wanted.user, nobody, something, _folders(wanted, "9p")), read_user_data(wanted))


def seed_of(
    vm: Vm,
    login: Login,
    first_boot: FirstBoot | None,
    wanted: DomainConfig,
    instance_id: str,
    filesystem: Literal["9p", "virtiofs"] = "9p",
) -> bytes:
    """Return the seed of a machine: ISO 9660. ``filesystem`` is what its folders of the host are shown by.

    cloud-init takes a boot with another ``instance_id`` than before for a first one. Raises ``UsageFault`` for
    user-data that cannot be merged.
    """
    data = UserData(vm.name, wanted.user, login, first_boot, _folders(wanted, filesystem))
    theirs = read_user_data(wanted)
    files = {
        "user-data": user_data(data, theirs).encode(),
        "meta-data": meta_data(instance_id, vm.name).encode(),
        "network-config": network_config(vm.mac).encode(),
    }
    return seed_iso(files | settings(data, instance_id, vm.mac, theirs))


def seed_iso(files: Mapping[str, bytes]) -> bytes:
    """Return an ISO 9660 labelled ``cidata``, these files in its root, named as given by Rock Ridge and Joliet.

    Raises ``DriverMissing`` where pycdlib is not installed.
    """
    try:
        from pycdlib import PyCdlib
    except ImportError:
        raise DriverMissing(
            "the kvm driver needs pycdlib", hint="pip install 'pymachine-docker[kvm]' installs it"
        ) from None
    iso = PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    for number, (name, content) in enumerate(files.items()):
        iso.add_fp(
            BytesIO(content),
            len(content),
            iso_path=f"/FILE{number}.;1",
            rr_name=name,
            joliet_path=f"/{name}",
            file_mode=SECRET_FILE,
        )
    written = BytesIO()
    iso.write_fp(written)
    iso.close()
    return written.getvalue()


def _folders(wanted: DomainConfig, filesystem: Literal["9p", "virtiofs"]) -> tuple[SharedFolder, ...]:
    return tuple(SharedFolder(mount.tag, mount.target, mount.read_only, filesystem) for mount in wanted.mounts)
