"""The file tree of an image: Debian's packages, unpacked and configured by mmdebstrap."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pymachine.errors import PymachineError
from pymachine_kvm.images.debian.programs import Progress, run
from pymachine_kvm.images.debian.recipe import GRUB_MODULES, SYSTEM, Recipe, overlay, script
from pymachine_kvm.images.debian.sources import apt_settings, deb_lines
from pymachine_kvm.images.lock import held, is_held

BOOTSTRAP_DEADLINE = 1800.0
SEAL_DEADLINE = 300.0
PREFIX = "pymachine-build-"
MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr")
SCRIPTS = ("engine.sh", "finish.sh", "seal.sh")

_STEPS = re.compile(r"I: (.+)\.\.\.$")


@dataclass(frozen=True, slots=True)
class Workshop:
    """The folder of one build. ``root`` is a command prefix that runs a command as root over the tree."""

    folder: Path
    root: tuple[str, ...]

    @property
    def tree(self) -> Path:
        """The root folder of the image."""
        return self.folder / "tree"

    @property
    def disk(self) -> Path:
        """The raw disk."""
        return self.folder / "disk.raw"


@contextmanager
def workshop(environ: Mapping[str, str]) -> Iterator[Workshop]:
    """Create a build folder and remove it at the end; those of interrupted builds are removed first.

    An ordinary account builds in a user namespace of mmdebstrap, whose root must be able to enter the folder.
    """
    root = () if os.geteuid() == 0 else ("mmdebstrap", "--unshare-helper")
    parent = Path(environ.get("TMPDIR") or "/var/tmp")
    for leftover in parent.glob(f"{PREFIX}*"):
        if leftover.stat().st_uid == os.geteuid() and not is_held(leftover / "lock"):
            _remove(Workshop(leftover, root))
    made = Workshop(Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)), root)
    made.folder.chmod(0o711)
    try:
        with held(made.folder / "lock"):
            yield made
    finally:
        _remove(made)


def _remove(shop: Workshop) -> None:
    if shop.root and shop.tree.exists():
        # Only what is in it: the folder around it belongs to an account that the namespace's root is not.
        run([*shop.root, "find", shop.tree, "-xdev", "-mindepth", "1", "-delete"], deadline=SEAL_DEADLINE)
    shutil.rmtree(shop.folder, ignore_errors=True)


def grow(shop: Workshop, recipe: Recipe, environ: Mapping[str, str], progress: Progress) -> None:
    """Fill the tree: packages, boot loader, engine. Raises ``PymachineError``."""
    _lay_out(shop, recipe)
    lines = deb_lines(recipe.release.suite, recipe.mirror)
    words = [*_bootstrap(shop, recipe), *(f"--aptopt={line}" for line in apt_settings(environ))]
    words += [recipe.release.suite, str(shop.tree), "-"]
    run(words, deadline=BOOTSTRAP_DEADLINE, given="".join(f"{line}\n" for line in lines), hear=_steps(progress))


def seal(shop: Workshop) -> None:
    """Remove from the tree everything that must differ between machines."""
    run([*shop.root, "sh", shop.folder / "seal.sh", shop.tree], deadline=SEAL_DEADLINE)


def os_release(tree: Path) -> str:
    """Return the text of the tree's os-release."""
    return (tree / "usr/lib/os-release").read_text()


def engine_version(tree: Path) -> str:
    """Return the upstream version of the tree's docker.io package; empty if there is none."""
    for record in (tree / "var/lib/dpkg/status").read_text(errors="replace").split("\n\n"):
        if record.startswith("Package: docker.io\n"):
            found = re.search(r"^Version: (?:\d+:)?([0-9.]+)", record, re.MULTILINE)
            if found:
                return found[1]
    return ""


def boot_files(tree: Path) -> tuple[bytes, bytes]:
    """Return GRUB's boot sector and core image, as the tree's own grub-mkimage made it."""
    folder = tree / "boot/grub/i386-pc"
    try:
        return (folder / "boot.img").read_bytes(), (folder / "core.img").read_bytes()
    except OSError as error:
        raise PymachineError(f"GRUB's files are missing in the tree: {error}") from error


def _lay_out(shop: Workshop, recipe: Recipe) -> None:
    (shop.folder / "overlay.tar").write_bytes(overlay(recipe))
    for name in SCRIPTS:
        (shop.folder / name).write_text(script(name))
    for path in shop.folder.iterdir():
        path.chmod(0o644)


def _bootstrap(shop: Workshop, recipe: Recipe) -> list[str]:
    """Return mmdebstrap's command line up to the suite. Hooks are lines of sh, with the tree as $1."""
    folder = shlex.quote(str(shop.folder))
    words = [
        "mmdebstrap",
        f"--mode={'unshare' if shop.root else 'root'}",
        "--variant=apt",
        "--dpkgopt=force-unsafe-io",
        f"--include={','.join(SYSTEM)}",
        f"--essential-hook=tar-in {folder}/overlay.tar /",
    ]
    if recipe.with_engine:
        words.append(f'--customize-hook=sh {folder}/engine.sh "$1" {" ".join(recipe.release.engine)}')
    words.append(f"--customize-hook=copy-in {folder}/finish.sh /root")
    words.append(f'--customize-hook=chroot "$1" sh /root/finish.sh {recipe.uuid} {" ".join(GRUB_MODULES)}')
    words.append('--customize-hook=rm "$1"/root/finish.sh')
    if recipe.release.suite == "bookworm" and MERGED_USR.is_dir():
        # Born with a merged /usr, instead of brought there by a package that needs all of Perl.
        words.append(f"--hook-dir={MERGED_USR}")
    return words


def _steps(progress: Progress) -> Progress:
    """Report the steps of mmdebstrap, not each package."""

    def hear(line: str) -> None:
        found = _STEPS.match(line)
        if found:
            progress(found[1])

    return hear
