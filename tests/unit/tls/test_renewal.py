"""When certificates are made anew, what stays then, and which sets do not fit together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pymachine import tls
from pymachine.errors import CheckFailed, TlsError

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SANS = ("node1", "10.0.0.5")
SERVER = {"server.pem", "server-key.pem"}
CLIENT = {"cert.pem", "key.pem"}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return dict(tls.issue("node1", SANS, now=NOW).files)


def after(days: float) -> datetime:
    return NOW + timedelta(days=days)


def parts(found: tuple[tls.Need, ...]) -> list[tuple[str, str]]:
    return [(need.part, need.reason.split(" 20")[0]) for need in found]


def changed(before: dict[str, bytes], fresh: dict[str, bytes]) -> set[str]:
    return {name for name, content in fresh.items() if before.get(name) != content}


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, []),
        (240, []),
        (250, [("client", "expires on")]),
        (270, [("server", "expires on"), ("client", "expires on")]),
        (366, [("server", "expires on"), ("client", "expired on")]),
        (2500, [("ca", "expires on"), ("server", "expired on"), ("client", "expired on")]),
        (4000, [("ca", "expired on"), ("server", "expired on"), ("client", "expired on")]),
    ],
)
def test_a_third_of_its_life_before_the_end_a_certificate_is_due(
    files: dict[str, bytes], days: float, expected: list[tuple[str, str]]
) -> None:
    assert parts(tls.needs(tls.summary(files), SANS, after(days))) == expected


def test_a_name_that_is_missing_is_a_reason_and_says_which(files: dict[str, bytes]) -> None:
    found = tls.needs(tls.summary(files), (*SANS, "10.0.0.6", "NODE1", "[2001:db8::6]"), NOW)
    (need,) = found
    assert need.part == "server"
    assert need.reason.endswith(" 10.0.0.6, 2001:db8::6")


def test_a_companys_authority_is_due_at_its_end_only(files: dict[str, bytes]) -> None:
    found = tls.needs(tls.summary(files), SANS, after(2500), own_authority=False)
    assert "ca" not in {need.part for need in found}


def test_a_set_that_fits_stays_as_it_is(files: dict[str, bytes]) -> None:
    fresh, certificates = tls.ensure("node1", SANS, files, after(10))
    assert fresh == {}
    assert certificates == tls.summary(files)


def test_a_machine_without_certificates_gets_all() -> None:
    fresh, certificates = tls.ensure("node1", SANS, {}, NOW)
    assert {"ca.pem", "ca-key.pem"} | SERVER | CLIENT == set(fresh)
    assert certificates == tls.summary(fresh)


def test_a_new_address_changes_the_server_certificate_alone(files: dict[str, bytes]) -> None:
    fresh, certificates = tls.ensure("node1", (*SANS, "10.0.0.6"), files, after(10))
    assert changed(files, fresh) == {"server.pem"}
    assert "10.0.0.6" in certificates.sans
    tls.verify_set({**files, **fresh})


def test_an_aged_client_certificate_changes_alone_with_its_key(files: dict[str, bytes]) -> None:
    fresh, _ = tls.ensure("node1", SANS, files, after(250))
    assert changed(files, fresh) == CLIENT
    tls.verify_set({**files, **fresh}, now=after(250))


def test_an_aged_authority_changes_everything(files: dict[str, bytes]) -> None:
    fresh, _ = tls.ensure("node1", SANS, files, after(2500))
    assert changed(files, fresh) == set(files)
    tls.verify_set(fresh, now=after(2500))


@pytest.mark.parametrize("name", ["ca.pem", "server.pem", "key.pem", "server-key.pem"])
def test_a_file_that_was_lost_or_damaged_makes_all_new(files: dict[str, bytes], name: str) -> None:
    without = {other: content for other, content in files.items() if other != name}
    for broken in (without, {**files, name: b"?"}):
        fresh, _ = tls.ensure("node1", SANS, broken, NOW)
        assert changed(files, fresh) == set(files)


def test_without_the_authoritys_key_nothing_is_made_and_the_error_says_why(files: dict[str, bytes]) -> None:
    company = {name: content for name, content in files.items() if name != "ca-key.pem"}
    assert tls.ensure("node1", SANS, company, NOW)[0] == {}
    with pytest.raises(TlsError, match="record") as caught:
        tls.ensure("node1", (*SANS, "10.0.0.6"), company, NOW)
    assert caught.value.hint


def test_another_authority_than_the_one_in_use_makes_all_new(files: dict[str, bytes], tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("corp")
    for name, content in tls.issue("corp", (), now=NOW).files.items():
        (folder / name).write_bytes(content)
    authority = tls.read_authority(folder / "ca.pem", folder / "ca-key.pem")
    fresh, _ = tls.ensure("node1", SANS, files, NOW, authority=authority)
    assert fresh["ca.pem"] == authority.pem
    assert tls.ensure("node1", SANS, fresh, NOW, authority=authority)[0] == {}


def test_renewing_the_client_leaves_the_rest(files: dict[str, bytes]) -> None:
    renewed = tls.renew_client("node1", files, after(300))
    assert set(renewed.files) == CLIENT
    assert renewed.certificates.server == tls.summary(files).server
    assert renewed.certificates.client != tls.summary(files).client


def test_the_servers_key_stays_with_a_new_certificate(files: dict[str, bytes]) -> None:
    renewed = tls.reissue_server("node1", SANS, files, after(300))
    assert renewed.files["server-key.pem"] == files["server-key.pem"]


def test_whole_sets_and_client_files_pass(files: dict[str, bytes]) -> None:
    tls.verify_set(files, now=NOW)
    tls.verify_set({name: files[name] for name in ("ca.pem", "cert.pem", "key.pem")}, now=NOW)
    tls.verify_set({"ca.pem": files["ca.pem"]})


def encrypted(files: dict[str, bytes]) -> bytes:
    key = load_pem_private_key(files["key.pem"], None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def foreign_key() -> bytes:
    return x25519.X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("ca.pem", lambda files, other: other["ca.pem"], "ca-key.pem .* ca.pem"),
        ("key.pem", lambda files, other: other["key.pem"], "key.pem .* cert.pem"),
        ("server-key.pem", lambda files, other: files["key.pem"], "server-key.pem .* server.pem"),
        ("cert.pem", lambda files, other: b"-----BEGIN", "cert.pem .*certificate"),
        ("cert.pem", lambda files, other: files["cert.pem"][:300], "cert.pem .*certificate"),
        ("key.pem", lambda files, other: files["key.pem"][:100], "key.pem .*private key"),
        ("key.pem", lambda files, other: encrypted(files), "key.pem .*passphrase"),
        ("key.pem", lambda files, other: foreign_key(), "key.pem .* type"),
    ],
)
def test_a_set_that_does_not_fit_names_the_file(files, name, make, said) -> None:  # type: ignore[no-untyped-def]
    other = tls.issue("node2", (), now=NOW).files
    with pytest.raises(TlsError, match=said):
        tls.verify_set({**files, name: make(files, other)})


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        ("ca.pem", "ca.pem .*missing"),
        ("key.pem", "key key.pem .*missing"),
        ("server.pem", "certificate server.pem .*missing"),
    ],
)
def test_a_set_with_a_hole_names_it(files: dict[str, bytes], absent: str, said: str) -> None:
    with pytest.raises(TlsError, match=said):
        tls.verify_set({name: content for name, content in files.items() if name != absent})


def test_a_certificate_of_another_authority_is_found_out(files: dict[str, bytes]) -> None:
    other = tls.issue("node1", SANS, now=NOW).files
    mixed = {"ca.pem": files["ca.pem"], "cert.pem": other["cert.pem"], "key.pem": other["key.pem"]}
    with pytest.raises(TlsError, match=r"cert\.pem .* ca\.pem"):
        tls.verify_set(mixed)


def test_one_of_several_authorities_is_enough(files: dict[str, bytes]) -> None:
    other = tls.issue("node2", (), now=NOW).files
    bundle = {"ca.pem": other["ca.pem"] + files["ca.pem"], "cert.pem": files["cert.pem"], "key.pem": files["key.pem"]}
    tls.verify_set(bundle)


@pytest.mark.parametrize(("days", "said"), [(366, "cert.pem expired"), (-1, "ca.pem .*before")])
def test_dates_count_when_a_time_is_given(files: dict[str, bytes], days: float, said: str) -> None:
    tls.verify_set(files)
    with pytest.raises(TlsError, match=said):
        tls.verify_set({name: files[name] for name in ("ca.pem", "cert.pem", "key.pem")}, now=after(days))


@pytest.mark.parametrize(
    ("host", "before", "after", "skew"), [(100, 90, 110, 0), (80, 90, 110, -10), (150, 90, 110, 40), (90, 90, 90, 0)]
)
def test_the_round_trip_is_no_skew(host: float, before: float, after: float, skew: float) -> None:
    assert tls.clock_skew(host, before, after) == skew


@pytest.mark.parametrize("off", [0, 299, -299])
def test_clocks_within_five_minutes_pass(off: float) -> None:
    tls.check_clock(1_800_000_000 + off, 1_800_000_000, 1_800_000_000)


def test_a_host_that_cannot_tell_its_time_passes() -> None:
    tls.check_clock(None, 0, 1)


@pytest.mark.parametrize(
    ("off", "said"),
    [
        (-1200, "20 minutes behind"),
        (301, "5 minutes ahead of"),
        (7200, "2 hours ahead of"),
        (-864000, "10 days behind"),
    ],
)
def test_clocks_that_are_apart_are_both_named_with_the_way_out(off: float, said: str) -> None:
    with pytest.raises(CheckFailed, match=said) as caught:
        tls.check_clock(1_800_000_000 + off, 1_799_999_990, 1_800_000_000)
    assert "this computer's 2027-01-15 08:00:00 UTC" in caught.value.message
    assert "timedatectl set-ntp true" in (caught.value.hint or "")
    assert "date -u -s '2027-01-15 08:00:00 UTC'" in (caught.value.hint or "")
