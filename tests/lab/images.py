"""Container images made here from Debian's static busybox: as a tar for `docker import`, and pushed into a registry.

No engine is needed to make or push them; the registry's own HTTP API is enough.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urljoin

from lab.debs import building, digest, unpacked
from lab.ident import cache_dir
from lab.sh import run

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

# Answers every line like a Redis server answers PING: enough for a health check and a second service.
# Debian's busybox has no adduser; Dockerfiles written for the usual busybox image use it.
ADDUSER = """\
#!/bin/sh
# adduser [-D] [-S] [-H] [-u UID] [-h HOME] [-s SHELL] [-G GROUP] [-g GECOS] NAME
uid= home= shell=/bin/sh
while getopts DSHu:h:s:G:g: flag; do
    case $flag in u) uid=$OPTARG ;; h) home=$OPTARG ;; s) shell=$OPTARG ;; esac
done
shift $((OPTIND - 1))
[ -n "$1" ] || { echo "adduser: no name" >&2; exit 1; }
! grep -q "^$1:" /etc/passwd || { echo "adduser: user '$1' in use" >&2; exit 1; }
[ -n "$uid" ] || { uid=1000; while grep -q "^[^:]*:[^:]*:$uid:" /etc/passwd; do uid=$((uid + 1)); done; }
home=${home:-/home/$1}
echo "$1:x:$uid:$uid::$home:$shell" >> /etc/passwd
echo "$1:x:$uid:" >> /etc/group
mkdir -p "$home" && chown "$uid:$uid" "$home"
"""

PONG = '#!/bin/sh\nwhile read -r line; do printf "+PONG\\r\\n"; done\n'


@dataclass(frozen=True)
class Image:
    """An image on top of busybox: name:tag, what it runs, files added to it."""

    reference: str
    command: Sequence[str] = ("/bin/sh",)
    port: int | None = None
    files: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def repository(self) -> str:
        """The name before the tag."""
        return self.reference.partition(":")[0]

    @property
    def tag(self) -> str:
        """The tag, latest if none is named."""
        return self.reference.partition(":")[2] or "latest"


BUSYBOX = Image("busybox:latest")
REDIS = Image(
    "redis:alpine",
    ("sh", "-c", "echo 'ready to accept connections'; exec nc -ll -p 6379 -e /bin/pong"),
    6379,
    {"bin/pong": (PONG, 0o755)},
)
WEB = Image(
    "nginx:alpine",
    ("httpd", "-f", "-p", "80", "-h", "/www"),
    80,
    {"www/index.html": ("it works\n", 0o644)},
)
IMAGES = (BUSYBOX, REDIS, WEB)


def architecture() -> str:
    """This machine's architecture as images call it."""
    name = run(["dpkg", "--print-architecture"]).stdout.strip()
    return {"armhf": "arm", "armel": "arm", "i386": "386", "ppc64el": "ppc64le"}.get(name, name)


def busybox_binary() -> Path:
    """The static busybox of the oldest suite: it runs everywhere."""
    tree = unpacked("bookworm", "busybox-static")
    return next(path for path in (tree / "bin/busybox", tree / "usr/bin/busybox") if path.exists())


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def layer(image: Image) -> bytes:
    """The image's file system as a tar; the same bytes every time."""
    binary = busybox_binary()
    applets = run([binary, "--list"]).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("root", 0o700)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        _add(tar, "bin/busybox", binary.read_bytes(), 0o755)
        for applet in sorted(set(applets) - {"busybox", "adduser"}):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n", 0o644)
        _add(tar, "etc/group", b"root:x:0:\nnogroup:x:65534:\n", 0o644)
        _add(tar, "bin/adduser", ADDUSER.encode(), 0o755)
        for name, (text, mode) in image.files.items():
            _add(tar, name, text.encode(), mode)
    return buffer.getvalue()


def rootfs(image: Image = BUSYBOX) -> Path:
    """The same as a file, for `docker import - NAME < FILE`."""
    place = cache_dir() / "images" / f"{image.repository}-{digest(layer(image))}"
    with building(place) as draft:
        if draft:
            (draft / "rootfs.tar").write_bytes(layer(image))
    return place / "rootfs.tar"


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


# busybox as process 1 ignores SIGTERM, and every `docker stop` would take ten seconds.
def _config(image: Image, diff: str) -> bytes:
    settings = {"Cmd": list(image.command), "Env": ["PATH=/bin"], "WorkingDir": "/", "StopSignal": "SIGKILL"}
    ports: dict[str, object] = {"ExposedPorts": {f"{image.port}/tcp": {}}} if image.port else {}
    document = {
        "architecture": architecture(),
        "os": "linux",
        "config": {**settings, **ports},
        "rootfs": {"type": "layers", "diff_ids": [diff]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "pymachine test lab"}],
    }
    return json.dumps(document, sort_keys=True).encode()


def _send(method: str, url: str, body: bytes, kind: str) -> Mapping[str, str]:
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": kind})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return dict(answer.headers)


def _push_blob(base: str, blob: bytes) -> dict[str, str | int]:
    started = _send("POST", f"{base}/blobs/uploads/", b"", "application/octet-stream")
    place = urljoin(base, started["Location"])
    mark = "&" if "?" in place else "?"
    name = _sha256(blob)
    _send("PUT", f"{place}{mark}{urlencode({'digest': name})}", blob, "application/octet-stream")
    return {"digest": name, "size": len(blob)}


def push(url: str, image: Image, reference: str | None = None) -> str:
    """Put an image into the registry at url, under another reference if given; returns the manifest's digest."""
    repository, _, tag = (reference or image.reference).partition(":")
    base = f"{url}/v2/{repository}"
    plain = layer(image)
    packed = gzip.compress(plain, 6, mtime=0)
    config = _config(image, _sha256(plain))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, **_push_blob(base, config)},
        "layers": [{"mediaType": LAYER, **_push_blob(base, packed)}],
    }
    body = json.dumps(manifest, sort_keys=True).encode()
    _send("PUT", f"{base}/manifests/{tag or 'latest'}", body, MANIFEST)
    return _sha256(body)
