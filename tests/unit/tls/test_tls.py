"""Certificates: what they look like, who takes them, when they are made anew."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from patience import LIMIT
from pymachine import tls
from pymachine.errors import TlsError, UsageFault

NOW = datetime.now(UTC).replace(microsecond=0)
SANS = ("10.0.0.5", "2001:db8::5", "node1.example.org", "*.apps.example.org", "my_host.example.org")
FILES = {"ca.pem", "ca-key.pem", "cert.pem", "key.pem", "server.pem", "server-key.pem"}


@pytest.fixture(scope="module")
def issued() -> tls.Issued:
    return tls.issue("node1", SANS, now=NOW)


def certificate(files: dict[str, bytes] | tls.Issued, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((files.files if isinstance(files, tls.Issued) else files)[name])


def extension(found: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.Extension[x509.ExtensionType]:
    return found.extensions.get_extension_for_class(kind)


def test_a_set_has_a_certificate_and_a_key_for_each_part(issued: tls.Issued) -> None:
    assert set(issued.files) == FILES


def test_every_key_is_p256_in_plain_pkcs8(issued: tls.Issued) -> None:
    for name in ("ca-key.pem", "key.pem", "server-key.pem"):
        assert issued.files[name].startswith(b"-----BEGIN PRIVATE KEY-----")
        key = load_pem_private_key(issued.files[name], None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert isinstance(key.curve, ec.SECP256R1)


def test_the_authority_may_sign_leaves_and_nothing_else(issued: tls.Issued) -> None:
    ca = certificate(issued, "ca.pem")
    constraints = extension(ca, x509.BasicConstraints)
    usage = extension(ca, x509.KeyUsage)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    assert usage.critical
    assert isinstance(usage.value, x509.KeyUsage)
    assert (usage.value.key_cert_sign, usage.value.crl_sign, usage.value.digital_signature) == (True, True, False)


def test_the_authority_is_named_for_its_machine_and_its_key(issued: tls.Issued) -> None:
    name = certificate(issued, "ca.pem").subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    other = certificate(tls.issue("node1", (), now=NOW), "ca.pem").subject
    assert str(name).startswith("pymachine node1 ")
    assert len(str(name).split()[-1]) == 8
    assert other != certificate(issued, "ca.pem").subject


@pytest.mark.parametrize(("name", "days"), [("ca.pem", 3650), ("server.pem", 397), ("cert.pem", 365)])
def test_lives_begin_an_hour_ago_and_last_as_long_as_they_should(issued: tls.Issued, name: str, days: int) -> None:
    found = certificate(issued, name)
    assert found.not_valid_before_utc == NOW - timedelta(hours=1)
    assert found.not_valid_after_utc - found.not_valid_before_utc == timedelta(days=days)


@pytest.mark.parametrize(
    ("name", "purpose"),
    [("server.pem", ExtendedKeyUsageOID.SERVER_AUTH), ("cert.pem", ExtendedKeyUsageOID.CLIENT_AUTH)],
)
def test_leaves_serve_one_purpose_and_sign_nothing(
    issued: tls.Issued, name: str, purpose: x509.ObjectIdentifier
) -> None:
    leaf = certificate(issued, name)
    constraints, usage = extension(leaf, x509.BasicConstraints), extension(leaf, x509.KeyUsage)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=False, path_length=None)
    assert usage.critical
    assert isinstance(usage.value, x509.KeyUsage)
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert extension(leaf, x509.ExtendedKeyUsage).value == x509.ExtendedKeyUsage([purpose])


def test_serial_numbers_are_random_and_positive(issued: tls.Issued) -> None:
    serials = {certificate(issued, name).serial_number for name in ("ca.pem", "server.pem", "cert.pem")}
    assert len(serials) == 3
    assert all(1 << 64 < serial < 1 << 159 for serial in serials)


def test_the_server_is_named_by_all_its_names_once_each() -> None:
    issued = tls.issue(
        "Node1", ("10.0.0.5", "[2001:DB8::5]", "node1", "bücher.example", "fe80::1%eth0", "::1"), now=NOW
    )
    assert issued.certificates.sans == (
        "node1", "10.0.0.5", "2001:db8::5", "xn--bcher-kva.example", "fe80::1", "::1", "localhost", "127.0.0.1",
    )  # fmt: skip


def test_the_client_has_a_name_that_no_host_can_have(issued: tls.Issued) -> None:
    names = extension(certificate(issued, "cert.pem"), x509.SubjectAlternativeName).value
    assert names == x509.SubjectAlternativeName([x509.DNSName("admin.node1.pymachine.invalid")])


@pytest.mark.parametrize(
    "san",
    [
        "", "a b", "-x", "x-", "a..b", "https://x.org", "10.0.0.5:2376", "10.0.0.0/8", "10.0.0.300", "*", "*.org",
        "a.*.org", "x" * 64 + ".org", "a@b.org", "ä" * 70 + ".org", ".".join(["abcdefgh"] * 30),
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(san: str) -> None:
    with pytest.raises(UsageFault, match="certificate") as caught:
        tls.issue("node1", (san,), now=NOW)
    assert caught.value.hint


def test_the_longest_machine_name_fits() -> None:
    name = "x" * 63
    files = tls.issue(name, (), now=NOW).files
    assert name in tls.summary(files).sans


@pytest.mark.parametrize("host", ["node1", "10.0.0.5", "2001:db8::5", "127.0.0.1", "a.apps.example.org"])
def test_pyca_takes_the_server(issued: tls.Issued, host: str) -> None:
    verify_server(issued.files["ca.pem"], issued.files["server.pem"], host)


def test_pyca_refuses_the_server_by_another_name(issued: tls.Issued) -> None:
    with pytest.raises(VerificationError):
        verify_server(issued.files["ca.pem"], issued.files["server.pem"], "10.0.0.6")


def test_pyca_takes_the_client(issued: tls.Issued) -> None:
    store = Store([certificate(issued, "ca.pem")])
    verified = (
        PolicyBuilder().store(store).time(NOW).build_client_verifier().verify(certificate(issued, "cert.pem"), [])
    )
    assert verified.subjects == [x509.DNSName("admin.node1.pymachine.invalid")]


def test_a_client_is_no_server_and_a_server_no_client(issued: tls.Issued) -> None:
    store = Store([certificate(issued, "ca.pem")])
    client = PolicyBuilder().store(store).time(NOW).build_client_verifier()
    with pytest.raises(VerificationError):
        client.verify(certificate(issued, "server.pem"), [])
    with pytest.raises(VerificationError):
        verify_server(issued.files["ca.pem"], issued.files["cert.pem"], "admin.node1.pymachine.invalid")


@pytest.mark.parametrize("host", ["node1.example.org", "10.0.0.5", "2001:db8::5", "localhost"])
def test_openssl_takes_both_sides_in_strict_mode(issued: tls.Issued, tmp_path: Path, host: str) -> None:
    handshake(issued, tmp_path, host)


def test_openssl_refuses_another_name(issued: tls.Issued, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(issued, tmp_path, "10.0.0.6")


@pytest.mark.parametrize(("name", "purpose"), [("server.pem", "sslserver"), ("cert.pem", "sslclient")])
def test_the_openssl_command_takes_both_in_strict_mode(
    issued: tls.Issued, tmp_path: Path, name: str, purpose: str
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl command here")
    write(issued, tmp_path)
    command = [openssl, "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.stdout == f"{name}: OK\n", done.stderr


def test_the_summary_says_what_the_files_are(issued: tls.Issued) -> None:
    found = issued.certificates
    assert found == tls.summary(issued.files)
    assert found.server == certificate(issued, "server.pem").fingerprint(SHA256()).hex()
    assert found.client_expires == certificate(issued, "cert.pem").not_valid_after_utc.isoformat()
    assert found.sans[:3] == ("node1", "10.0.0.5", "2001:db8::5")


def test_a_summary_of_client_files_leaves_the_server_empty(issued: tls.Issued) -> None:
    found = tls.summary({"ca.pem": issued.files["ca.pem"], "cert.pem": issued.files["cert.pem"]})
    assert (found.server, found.server_expires, found.sans) == ("", "", ())
    assert found.client
    assert tls.needs(found, (), NOW) == ()


def test_nothing_shows_a_key_when_printed(issued: tls.Issued) -> None:
    authority = company()
    assert "PRIVATE" not in repr(issued)
    assert "key" not in repr(authority)


def verify_server(ca: bytes, server: bytes, host: str) -> None:
    store = Store(x509.load_pem_x509_certificates(ca))
    try:
        subject: x509.DNSName | x509.IPAddress = x509.IPAddress(ip_address(host))
    except ValueError:
        subject = x509.DNSName(host)
    verifier = PolicyBuilder().store(store).time(NOW).build_server_verifier(subject)
    verifier.verify(x509.load_pem_x509_certificate(server), [])


def handshake(issued: tls.Issued, folder: Path, host: str) -> None:
    """Let both sides of TLS meet in memory, each as strict as OpenSSL can be."""
    write(issued, folder)
    server = strict(ssl.PROTOCOL_TLS_SERVER, folder, "server.pem", "server-key.pem")
    client = strict(ssl.PROTOCOL_TLS_CLIENT, folder, "cert.pem", "key.pem")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in tuple(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue


def strict(protocol: int, folder: Path, chain: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(folder / "ca.pem")
    context.load_cert_chain(folder / chain, folder / key)
    return context


def write(issued: tls.Issued, folder: Path) -> None:
    for name, content in issued.files.items():
        (folder / name).write_bytes(content)


def company(*, ends: timedelta = timedelta(days=90), ca: bool = True) -> tls.Authority:
    """Return a company's RSA authority without key identifiers, as old ones are."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Corp")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    from pymachine.tls.profile import cert_pem

    return tls.Authority(signed, cert_pem(signed), key)


def test_a_companys_authority_signs_and_keeps_its_key() -> None:
    authority = company()
    issued = tls.issue("node1", ("10.0.0.5",), now=NOW, authority=authority)
    assert set(issued.files) == FILES - {"ca-key.pem"}
    assert issued.files["ca.pem"] == authority.pem
    tls.verify_set(issued.files, now=NOW)


def test_nothing_outlives_the_authority_that_signed_it() -> None:
    issued = tls.issue("node1", (), now=NOW, authority=company(ends=timedelta(days=90)))
    assert certificate(issued, "server.pem").not_valid_after_utc == NOW + timedelta(days=90)


def test_an_expired_authority_signs_nothing() -> None:
    with pytest.raises(TlsError, match="authority expired"):
        tls.issue("node1", (), now=NOW, authority=company(ends=timedelta(days=-1)))


def test_an_authority_is_read_from_files(tmp_path: Path) -> None:
    write(tls.issue("corp", (), now=NOW), tmp_path)
    authority = tls.read_authority(tmp_path / "ca.pem", tmp_path / "ca-key.pem")
    assert set(tls.issue("node1", (), now=NOW, authority=authority).files) == FILES - {"ca-key.pem"}


@pytest.mark.parametrize(
    ("cert", "key", "said"),
    [
        ("ca.pem", "key.pem", " key of"),
        ("cert.pem", "key.pem", "authority"),
        ("key.pem", "ca-key.pem", "certificate"),
        ("ca.pem", "ca.pem", "private key"),
        ("ca.pem", "nowhere.pem", " read"),
    ],
)
def test_files_that_make_no_authority_are_named(tmp_path: Path, cert: str, key: str, said: str) -> None:
    write(tls.issue("corp", (), now=NOW), tmp_path)
    with pytest.raises(TlsError, match=said):
        tls.read_authority(tmp_path / cert, tmp_path / key)
