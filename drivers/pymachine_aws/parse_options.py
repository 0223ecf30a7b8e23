"""Parses the options: all values and contradictions are checked before the network is used."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from pymachine.addresses import check_port, check_user
from pymachine.cloudinit import read_theirs
from pymachine.driver import Request
from pymachine.errors import UsageFault
from pymachine.user_path import read_lines, user_path
from pymachine_aws import images, own_credentials
from pymachine_aws.config import Access, LaunchConfig, SshAccess
from pymachine_aws.ingress import read_cidr, read_ports
from pymachine_aws.options import AwsOptions
from pymachine_aws.own_credentials import Credentials
from pymachine_aws.tag_options import read_tags
from pymachine_aws.volumes import read_volume

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")
_ZONE = re.compile(r"[a-z]|[a-z]{2,}(-[a-z0-9]+)*-\d{1,2}(-[a-z0-9]+)*[a-z]")
_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_ID = "(?:[0-9a-f]{8}|[0-9a-f]{17})"
_PRICE = re.compile(r"\d{1,4}(\.\d{1,10})?")
_PROFILE = re.compile(r"[\w+=,.@-]{1,128}|arn:aws[a-z-]*:iam::\d{12}:instance-profile/[\w+=,.@/-]+", re.ASCII)
_MOST_TRIES = 50
_LESS = "omit one of the two"


def read_options(options: AwsOptions) -> LaunchConfig:
    """Return the parsed options. Reads the files that they name; raises ``UsageFault``."""
    _check_contradictions(options)
    return LaunchConfig(
        region=_region(options.aws_region),
        profile=_named(options.aws_profile, "--aws-profile"),
        endpoint_url=_endpoint(options),
        credentials=_credentials(options),
        zones=_all(options.aws_zone, _ZONE, "--aws-zone", "a, or eu-central-1a"),
        vpc=_one(options.aws_vpc, re.compile(f"vpc-{_ID}"), "--aws-vpc", "vpc-0123456789abcdef0"),
        subnets=_all(options.aws_subnet, re.compile(f"subnet-{_ID}"), "--aws-subnet", "subnet-0123456789abcdef0"),
        image=images.check_name(options.aws_image, "--aws-image"),
        types=_types(options.aws_instance_type),
        volume=read_volume(options),
        access=_access(options),
        way=_way(options),
        markets=_markets(options),
        spot_price=_price(options.aws_spot_price),
        instance_profile=_profile(options.aws_instance_profile),
        tags=read_tags(options.aws_tag, "--aws-tag"),
        user_data=_user_data(options.aws_user_data),
        metadata_hops=_within(options.aws_metadata_hops, 1, 64, "--aws-metadata-hops"),
        metadata_tokens=options.aws_metadata_tokens,
        monitoring=options.aws_monitoring,
        ebs_optimized=options.aws_ebs_optimized,
        retries=_tries(options.aws_retries),
    )


def wanted_by(request: Request) -> LaunchConfig:
    """Return the parsed options of a request, with the credentials that the machine has of its own."""
    wanted = read_options(request.options)
    return wanted if wanted.credentials else replace(wanted, credentials=own_credentials.of(request.machine_id))


def _credentials(options: AwsOptions) -> Credentials | None:
    """Return the credentials that are given. Raises ``UsageFault`` for a part of them."""
    key, secret, token = options.aws_access_key, options.aws_secret_key, options.aws_session_token
    if key and secret:
        return Credentials(key, secret, token or None)
    if key or secret or token:
        raise UsageFault(
            "--amazonec2-access-key and --amazonec2-secret-key belong together", hint="give both, or none of them"
        )
    return None


def _check_contradictions(options: AwsOptions) -> None:
    """Raise ``UsageFault`` for options that exclude each other."""
    spot, groups = _is_spot(options), bool(options.aws_security_group)
    private = options.aws_use_private_address
    edit = "the groups of --aws-security-group are not changed: open it there, or omit them"
    own = bool(options.aws_access_key)
    excluded = (
        (own and options.aws_profile is not None, "--amazonec2-access-key", "--aws-profile is given", _LESS),
        (own and options.aws_ssh_via != "direct", "--aws-ssh-via", "--amazonec2-access-key is given", _LESS),
        (options.aws_spot_fallback and not spot, "--aws-spot-fallback", "--aws-spot is not given", "add --aws-spot"),
        (private and options.aws_address == "ipv6", "--aws-use-private-address", "--aws-address is ipv6", _LESS),
        (groups and bool(options.aws_allow), "--aws-allow", "groups are given", edit),
        (groups and bool(options.aws_open_port), "--aws-open-port", "groups are given", edit),
        (options.aws_import_key and bool(options.aws_key_pair), "--aws-import-key", "--aws-key-pair is given", _LESS),
    )
    if options.aws_metadata_endpoint != "enabled":
        raise UsageFault(
            f"--amazonec2-http-endpoint: {options.aws_metadata_endpoint!r} is not possible: the host reads its "
            "set-up from the metadata service",
            hint="omit it; `aws ec2 modify-instance-metadata-options` can disable the service later",
        )
    for contradicts, flag, why, hint in excluded:
        if contradicts:
            raise UsageFault(f"{flag}: {why}, which contradicts it", hint=hint)


def _is_spot(options: AwsOptions) -> bool:
    """Whether spare capacity is wanted; a price for it says so as well."""
    return options.aws_spot or options.aws_spot_price is not None


def _region(name: str | None) -> str | None:
    if name is None or _REGION.fullmatch(name):
        return name
    if _REGION.fullmatch(name[:-1]):
        raise UsageFault(
            f"--aws-region: {name!r} is a zone", hint=f"give --aws-region {name[:-1]} --aws-zone {name[-1]}"
        )
    raise UsageFault(f"--aws-region: {name!r} is not a valid region", hint="write it like eu-central-1")


def _named(name: str | None, flag: str) -> str | None:
    if name is not None and (not name.strip() or not name.isprintable()):
        raise UsageFault(f"{flag}: {name!r} is not a valid name", hint="give a name, or omit it")
    return name


def _one(text: str | None, pattern: re.Pattern[str], flag: str, example: str) -> str | None:
    if text is not None and not pattern.fullmatch(text):
        raise UsageFault(f"{flag}: {text!r} is not of the right form", hint=f"write it like {example}")
    return text


def _all(texts: tuple[str, ...], pattern: re.Pattern[str], flag: str, example: str) -> tuple[str, ...]:
    """Return all of them in their order, each once."""
    for text in texts:
        _one(text, pattern, flag, example)
    return tuple(dict.fromkeys(texts))


def _types(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise UsageFault("--aws-instance-type: none is given", hint="give one such as t3.small")
    return _all(names, _TYPE, "--aws-instance-type", "t3.small")


def _endpoint(options: AwsOptions) -> str | None:
    url = options.aws_endpoint_url
    if url is None:
        return None
    scheme = _web_address(url, "--aws-endpoint-url")
    if scheme == "http" and not options.aws_insecure_transport and not _is_here(url):
        raise UsageFault(
            f"--aws-endpoint-url: {url} would send requests unencrypted",
            hint="give an https: URL, or --aws-insecure-transport if that is intended",
        )
    return url.rstrip("/")


def _checkip(url: str) -> str:
    if _web_address(url, "--aws-checkip-url") == "http" and not _is_here(url):
        raise UsageFault(
            f"--aws-checkip-url: the answer of {url} could be changed in transit", hint="give an https: URL"
        )
    return url


def _web_address(url: str, flag: str) -> str:
    """Return the scheme of a URL of a web server. Raises ``UsageFault`` for anything else."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number
        usable = False
    if not usable or not url.isprintable() or " " in url or parts.username is not None:
        raise UsageFault(
            f"{flag}: {url!r} is not a valid URL of a web server", hint="write it like https://host:port"
        )
    return parts.scheme


def _is_here(url: str) -> bool:
    """Whether a URL leads to this computer."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _access(options: AwsOptions) -> Access:
    return Access(
        groups=_groups(options.aws_security_group),
        allow=tuple(dict.fromkeys(read_cidr(text, "--aws-allow") for text in options.aws_allow)),
        ports=tuple(dict.fromkeys(read_ports(text, "--aws-open-port") for text in options.aws_open_port)),
        checkip_url=_checkip(options.aws_checkip_url),
        key_pair=_key_pair(options.aws_key_pair),
        import_key=options.aws_import_key,
        key_path=_key_path(options.aws_ssh_key),
    )


def _groups(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name.startswith("sg-"):  # AWS keeps this beginning for ids
            _one(name, re.compile(f"sg-{_ID}"), "--aws-security-group", "sg-0123456789abcdef0, or give its name")
        elif not name.strip() or len(name) > 255 or not name.isprintable():
            raise UsageFault(
                f"--aws-security-group: {name[:40]!r} is not a valid security group", hint="give its id or its name"
            )
    return tuple(dict.fromkeys(names))


def _key_pair(name: str | None) -> str | None:
    if name is not None and len(name) > 255:
        raise UsageFault("--aws-key-pair: the name is too long", hint="255 characters are allowed")
    return _named(name, "--aws-key-pair")


def _key_path(path: str | None) -> str | None:
    if path is None:
        return None
    full = _expanded(path, "--aws-ssh-key").absolute()
    if not full.is_file():
        raise UsageFault(f"--aws-ssh-key: there is no file {path}", hint="give the file of a private key")
    return str(full)


def _expanded(path: str, flag: str) -> Path:
    try:
        if path.isprintable():
            return user_path(path)
    except RuntimeError:  # nobody of that name has a home
        pass
    raise UsageFault(f"{flag}: {path!r} is not a valid file name", hint="give the path of a file")


def _way(options: AwsOptions) -> SshAccess:
    address = "private" if options.aws_use_private_address else options.aws_address
    if options.aws_private_address_only and address == "public":
        address = "private"
    return SshAccess(
        user=None if options.aws_ssh_user is None else check_user(options.aws_ssh_user),
        port=check_port(options.aws_ssh_port, "--aws-ssh-port"),
        via=options.aws_ssh_via,
        host_key=options.aws_host_key,
        address=address,
        public=_public(options, address),
        ipv6=options.aws_ipv6 or address == "ipv6",
    )


def _public(options: AwsOptions, address: str) -> bool | None:
    if options.aws_private_address_only:
        return False
    return True if address == "public" else None


def _markets(options: AwsOptions) -> tuple[str, ...]:
    if not _is_spot(options):
        return ("",)
    return ("spot", "") if options.aws_spot_fallback else ("spot",)


def _price(text: str | None) -> str | None:
    if text is None:
        return None
    bare = text.strip().removeprefix("$")
    if not _PRICE.fullmatch(bare) or float(bare) == 0:
        raise UsageFault(
            f"--aws-spot-price: {text!r} is not a valid price", hint="give dollars per hour, such as 0.05"
        )
    return bare


def _profile(text: str | None) -> str | None:
    if text is None or _PROFILE.fullmatch(text):
        return text
    if ":role/" in text:
        hint = "that is a role: give the name of the instance profile that holds it"
    else:
        hint = "give its name, or an ARN like arn:aws:iam::123456789012:instance-profile/NAME"
    raise UsageFault(f"--aws-instance-profile: {text!r} is not an instance profile", hint=hint)


def _user_data(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        text = read_lines(_expanded(path, "--aws-user-data"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFault(
            f"--aws-user-data: {path} cannot be read: {error}", hint="give a cloud-config file or a script"
        ) from None
    read_theirs(text, path)
    return text


def _within(value: int, least: int, most: int, flag: str) -> int:
    if not least <= value <= most:
        raise UsageFault(f"{flag}: {value} is out of range", hint=f"give {least} to {most}")
    return value


def _tries(count: int) -> int:
    """Return how often a call is tried; docker-machine's -1 says once."""
    return max(1, _within(count, -1, _MOST_TRIES, "--aws-retries"))
