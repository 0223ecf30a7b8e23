"""Stores as docker-machine wrote them: its paths, its certificates, its versions of config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pymachine.tls.subject_names import general_name

HOME = "/home/ann/.docker/machine"  # where the store was when its paths were written
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
LIFE = timedelta(days=1080)


@cache
def key(number: int) -> rsa.RSAPrivateKey:
    """One of the keys, which are slow to make."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(number: int) -> bytes:
    """A key as docker-machine writes it: PKCS#1, no passphrase."""
    return key(number).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _named(organization: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])


def certificate(
    number: int, organization: str, *, usage: Any = None, sans: tuple[str, ...] = (), life: timedelta = LIFE,
    began: datetime = BEGAN,
) -> bytes:  # fmt: skip
    """A certificate with key ``number``, signed with key 0; the authority itself where that is the key.

    docker-machine's have an organization and no common name, and no key identifiers.
    """
    built = (
        x509.CertificateBuilder().subject_name(_named(organization)).issuer_name(_named("ann"))
        .public_key(key(number).public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(began).not_valid_after(began + life)
    )  # fmt: skip
    built = built.add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
    built = built.add_extension(
        x509.KeyUsage(
            digital_signature=True, key_encipherment=number != 1, key_agreement=number != 1,
            key_cert_sign=number == 0, content_commitment=False, data_encipherment=False, crl_sign=False,
            encipher_only=False, decipher_only=False,
        ),
        critical=True,
    )  # fmt: skip
    if usage:
        built = built.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if sans:
        names = x509.SubjectAlternativeName([general_name(san) for san in sans])
        built = built.add_extension(names, critical=False)
    return built.sign(key(0), SHA256()).public_bytes(Encoding.PEM)


@dataclass
class TheirStore:
    """A store in a folder, which its paths do not know."""

    folder: Path
    home: str = HOME
    engine: Mapping[str, Any] = field(default_factory=dict)
    began: datetime = BEGAN
    sans: tuple[str, ...] = ("localhost",)

    def certs(self, *, life: timedelta = LIFE) -> dict[str, bytes]:
        """Write the authority and the client's certificate, and return all that there is."""
        files = {
            "ca.pem": certificate(0, "ann", life=life, began=self.began),
            "ca-key.pem": key_file(0),
            "cert.pem": certificate(1, "ann.<bootstrap>", usage=ExtendedKeyUsageOID.CLIENT_AUTH, began=self.began),
            "key.pem": key_file(1),
        }
        self.write("certs", files)
        return files

    def machine(self, name: str, driver: str = "generic", *, version: int = 3, **raw: Any) -> Path:
        """Write a machine with its files; return its folder."""
        base = {
            "IPAddress": "192.0.2.7", "MachineName": name, "SSHUser": "admin", "SSHPort": 2222,
            "SSHKeyPath": f"{self.home}/machines/{name}/id_rsa", "StorePath": self.home,
            "SwarmMaster": False, "SwarmHost": "", "SwarmDiscovery": "",
        }  # fmt: skip
        folder = f"machines/{name}"
        files = self.certs()
        mine = {file: files[file] for file in ("ca.pem", "cert.pem", "key.pem")}
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        server = certificate(2, f"ann.{name}", usage=usage, sans=self.sans, began=self.began)
        self.write(folder, {**mine, "server.pem": server, "server-key.pem": key_file(2), "id_rsa": key_file(3)})
        self.config(name, CONFIGS[version](self, name, driver, {**base, **raw}))
        return self.folder / folder

    def config(self, name: str, document: Any) -> None:
        """Write a config.json; bytes as they are."""
        data = document if isinstance(document, bytes) else json.dumps(document, indent=4).encode()
        self.write(f"machines/{name}", {"config.json": data})

    def write(self, place: str, files: Mapping[str, bytes]) -> None:
        """Write files into a folder of the store."""
        (self.folder / place).mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (self.folder / place / file).write_bytes(content)

    def auth(self, name: str, version: int) -> dict[str, Any]:
        """The paths, under the names of a version."""
        return {
            "CertDir": f"{self.home}/certs", "CaCertPath": f"{self.home}/certs/ca.pem",
            "CaPrivateKeyPath" if version > 1 else "PrivateKeyPath": f"{self.home}/certs/ca-key.pem",
            "ServerCertPath": f"{self.home}/machines/{name}/server.pem",
            "ServerKeyPath": f"{self.home}/machines/{name}/server-key.pem",
            "ClientCertPath": f"{self.home}/certs/cert.pem", "ClientKeyPath": f"{self.home}/certs/key.pem",
            "ServerCertSANs": ["web.example.org"], "StorePath": f"{self.home}/machines/{name}",
        }  # fmt: skip


def flat(store: TheirStore, name: str, driver: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Version 0, which was not called so."""
    auth = store.auth(name, 0)
    return {"DriverName": driver, "Driver": raw, "StorePath": auth.pop("StorePath"), **auth, "SwarmDiscovery": ""}


def nested(version: int) -> Any:
    """Versions 1 to 3."""

    def document(store: TheirStore, name: str, driver: str, raw: Mapping[str, Any]) -> dict[str, Any]:
        engine = {
            "ArbitraryFlags": [], "Env": [], "InsecureRegistry": [], "Labels": [], "StorageDriver": "",
            "TlsVerify": True, "RegistryMirror": [], "InstallURL": "https://get.docker.com", **store.engine,
        }  # fmt: skip
        swarm = {"IsSwarm": False, "Discovery": "", "Master": False}
        host = {"EngineOptions": engine, "SwarmOptions": swarm, "AuthOptions": store.auth(name, version)}
        return {
            "ConfigVersion": version, "Driver": raw, "DriverName": driver, "HostOptions": host, "Name": name,
        }  # fmt: skip

    return document


CONFIGS = {0: flat, 1: nested(1), 2: nested(2), 3: nested(3)}
