from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typing_extensions import override

from contract.sshd import free_port
from patience import LIMIT
from pymachine import registry
from pymachine.driver import Driver, Instance, PowerControl, Request
from pymachine.errors import DriverError, UsageFault
from pymachine.model import Endpoint, State
from pymachine_none import NoneDriver, NoneOptions
from unit.existing import ExistingContract


def write_pair(
    folder: Path, name: str, *, passphrase: bytes | None = None, days: tuple[int, int] = (-1, 1)
) -> dict[str, str]:
    """Write a self-signed certificate and its key, and return them as the driver's options.

    ``days`` from now are its begin and its end.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    begin, end = (now + dt.timedelta(day) for day in days)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), begin, end)
    certificate = builder.sign(key, hashes.SHA256())
    locked = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
    (folder / f"{name}-key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, locked))
    paths = (folder / f"{name}.pem", folder / f"{name}.pem", folder / f"{name}-key.pem")
    return dict(zip(("tls_ca_cert", "tls_client_cert", "tls_client_key"), map(str, paths), strict=True))


def request(**options: Any) -> Request:
    return Request("ext1", "0" * 32, NoneOptions(**options), 2376)


def create(**options: Any) -> Instance:
    return NoneDriver().create(request(**options), lambda handle: None)


class TestContract(ExistingContract):
    @override
    def driver(self) -> Driver:
        return NoneDriver()

    @override
    def options(self) -> NoneOptions:
        return NoneOptions(f"tcp://127.0.0.1:{self.port}")

    @override
    def bad_options(self) -> NoneOptions:
        return NoneOptions("ssh://root@host")


def test_it_is_found_by_its_name() -> None:
    assert registry.load("none") is NoneDriver


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("tcp://10.0.0.5:2376", Endpoint("10.0.0.5", 2376)),
        ("tcp://engine.example.org", Endpoint("engine.example.org", 2376)),
        ("tcp://[2001:db8::5]:12376", Endpoint("2001:db8::5", 12376)),
        ("https://10.0.0.5:2376/", Endpoint("10.0.0.5", 2376)),
    ],
)
def test_the_endpoint_is_taken_from_the_url(url: str, endpoint: Endpoint) -> None:
    instance = create(url=url)
    assert instance.endpoint == endpoint
    assert instance.ssh is None
    assert instance.certificates == {}


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("", "--url tcp://"),
        ("10.0.0.5", "tcp://HOST:PORT"),
        ("ssh://root@10.0.0.5", "-d ssh"),
        ("unix:///var/run/docker.sock", "local engine"),
        ("http://10.0.0.5:2375", "without TLS"),
        ("tcp://10.0.0.5:99999", "tcp://HOST:PORT"),
        ("tcp://10.0.0.5:x", "tcp://HOST:PORT"),
        ("tcp://10.0.0.5:0", "from 1 to 65535"),
        ("tcp://:2376", "host name"),
        ("tcp://user@10.0.0.5", "tcp://HOST:PORT"),
        ("tcp://10.0.0.5/path", "tcp://HOST:PORT"),
        ("tcp://10.0.0.999", "0 to 255"),
        ("tcp://[::1", "tcp://HOST:PORT"),
    ],
)
def test_a_url_that_cannot_work_is_refused_with_the_way_on(url: str, hint: str) -> None:
    with pytest.raises(UsageFault) as fault:
        NoneDriver().check(request(url=url))
    assert hint in (fault.value.hint or "")


def test_certificate_files_are_taken_along_by_the_names_the_client_wants(tmp_path: Path) -> None:
    options = write_pair(tmp_path, "good")
    found = create(url="tcp://h", **options).certificates
    assert found == {
        "ca.pem": Path(options["tls_ca_cert"]).read_bytes(),
        "cert.pem": Path(options["tls_client_cert"]).read_bytes(),
        "key.pem": Path(options["tls_client_key"]).read_bytes(),
    }


def test_some_of_the_three_files_are_not_enough(tmp_path: Path) -> None:
    options = write_pair(tmp_path, "good")
    del options["tls_client_key"]
    with pytest.raises(UsageFault, match="--tls-client-key missing"):
        NoneDriver().check(request(url="tcp://h", **options))


def test_a_key_with_a_passphrase_is_refused_and_why(tmp_path: Path) -> None:
    options = write_pair(tmp_path, "locked", passphrase=b"secret")
    with pytest.raises(UsageFault, match="passphrase") as fault:
        NoneDriver().check(request(url="tcp://h", **options))
    assert "openssl pkey" in (fault.value.hint or "")


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    options = write_pair(tmp_path, "good") | {"tls_client_key": write_pair(tmp_path, "other")["tls_client_key"]}
    with pytest.raises(UsageFault, match="its key"):
        NoneDriver().check(request(url="tcp://h", **options))


@pytest.mark.parametrize("file", ["tls_ca_cert", "tls_client_cert"])
@pytest.mark.parametrize(("days", "said"), [((-9, -1), "expired"), ((1, 9), "before")])
def test_files_that_ended_or_have_yet_to_begin_are_refused(
    tmp_path: Path, file: str, days: tuple[int, int], said: str
) -> None:
    good, bad = write_pair(tmp_path, "good"), write_pair(tmp_path, "bad", days=days)
    options = bad | {"tls_ca_cert": good["tls_ca_cert"]} if file == "tls_client_cert" else good | {file: bad[file]}
    with pytest.raises(UsageFault, match=said) as fault:
        NoneDriver().check(request(url="tcp://h", **options))
    assert options[file] in fault.value.message
    assert ("clock" in (fault.value.hint or "")) is (days[0] > 0)


def test_an_authority_counts_while_one_of_its_certificates_does(tmp_path: Path) -> None:
    good, bad = write_pair(tmp_path, "good"), write_pair(tmp_path, "bad", days=(-9, -1))
    both = tmp_path / "both.pem"
    for first, second in ((good, bad), (bad, good)):
        both.write_bytes(Path(first["tls_ca_cert"]).read_bytes() + Path(second["tls_ca_cert"]).read_bytes())
        NoneDriver().check(request(url="tcp://h", **good | {"tls_ca_cert": str(both)}))


def test_a_file_that_is_not_pem_is_refused(tmp_path: Path) -> None:
    (tmp_path / "der").write_bytes(b"\x30\x82")
    options = write_pair(tmp_path, "good") | {"tls_ca_cert": str(tmp_path / "der")}
    with pytest.raises(UsageFault, match="PEM format"):
        NoneDriver().check(request(url="tcp://h", **options))


def test_a_key_in_place_of_the_authority_is_refused(tmp_path: Path) -> None:
    options = write_pair(tmp_path, "good")
    options["tls_ca_cert"] = options["tls_client_key"]
    with pytest.raises(UsageFault, match="certificate"):
        NoneDriver().check(request(url="tcp://h", **options))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    options = write_pair(tmp_path, "good") | {"tls_ca_cert": str(tmp_path / "gone")}
    with pytest.raises(UsageFault, match=r"gone .*file"):
        NoneDriver().check(request(url="tcp://h", **options))


def test_an_engine_port_that_answers_is_running(port: int) -> None:
    handle = create(url=f"tcp://127.0.0.1:{port}").handle
    assert NoneDriver().inspect(handle, deadline=LIMIT).state is State.RUNNING


def test_a_closed_engine_port_is_unreachable_and_says_refused() -> None:
    status = NoneDriver().inspect(create(url=f"tcp://127.0.0.1:{free_port()}").handle, deadline=LIMIT)
    assert status.state is State.UNREACHABLE
    assert "connection refused" in status.detail


def test_a_damaged_handle_is_an_error_with_a_way_on() -> None:
    with pytest.raises(DriverError, match="damaged"):
        NoneDriver().inspect({}, deadline=1)


def test_it_claims_no_power_over_the_host() -> None:
    assert not isinstance(NoneDriver(), PowerControl)
