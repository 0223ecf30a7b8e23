"""The options of the aws driver, with their own names and docker-machine's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pymachine.driver import credential, option

DEFAULT_IMAGE = "ubuntu-24.04"
DEFAULT_TYPES = ("t3.small",)
CHECKIP_URL = "https://checkip.amazonaws.com"

_SEARCH = "[default: boto3's own search for credentials]"


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """The options of an instance."""

    aws_region: str | None = field(
        default=None,
        metadata=option(
            "region [default: the profile's]",
            metavar="REGION",
            env="AWS_DEFAULT_REGION",
            aliases=("--amazonec2-region",),
        ),
    )
    aws_profile: str | None = field(
        default=None,
        metadata=option(
            "profile of the AWS configuration [default: boto3's own search for credentials]",
            metavar="NAME",
            env="AWS_PROFILE",
        ),
    )
    aws_zone: tuple[str, ...] = field(
        default=(),
        metadata=option(
            "availability zone, as a letter or whole; several are tried in turn [default: any]",
            metavar="ZONE",
            env="AWS_ZONE",
            aliases=("--amazonec2-zone",),
        ),
    )
    aws_vpc: str | None = field(
        default=None,
        metadata=option(
            "VPC [default: the subnet's, else the default VPC]",
            metavar="VPC-ID",
            env="AWS_VPC_ID",
            aliases=("--amazonec2-vpc-id",),
        ),
    )
    aws_subnet: tuple[str, ...] = field(
        default=(),
        metadata=option(
            "subnet; several are tried in turn [default: those of the VPC]",
            metavar="SUBNET-ID",
            env="AWS_SUBNET_ID",
            aliases=("--amazonec2-subnet-id",),
        ),
    )
    aws_security_group: tuple[str, ...] = field(
        default=(),
        metadata=option(
            "existing security group, by ID or name; it is not changed [default: one made by pymachine]",
            metavar="GROUP",
            env="AWS_SECURITY_GROUP",
            aliases=("--amazonec2-security-group",),
        ),
    )
    aws_allow: tuple[str, ...] = field(
        default=(),
        metadata=option(
            "addresses that pymachine's security group allows [default: your public address]",
            metavar="CIDR",
            env="PYMACHINE_AWS_ALLOW",
        ),
    )
    aws_open_port: tuple[str, ...] = field(
        default=(),
        metadata=option(
            "additional port to open to these addresses: 8080, 53/udp, 8000-8100",
            metavar="PORT[/udp]",
            aliases=("--amazonec2-open-port",),
        ),
    )
    aws_image: str = field(
        default=DEFAULT_IMAGE,
        metadata=option(
            "image to boot: an AMI, or an alias: ubuntu-26.04, -24.04, -22.04, debian-13, -12, al2023",
            metavar="IMAGE",
            env="AWS_AMI",
            aliases=("--aws-ami", "--amazonec2-ami"),
        ),
    )
    aws_instance_type: tuple[str, ...] = field(
        default=DEFAULT_TYPES,
        metadata=option(
            "instance type; several are tried in turn if there is no capacity",
            metavar="TYPE",
            env="AWS_INSTANCE_TYPE",
            aliases=("--amazonec2-instance-type",),
        ),
    )
    aws_root_size: str = field(
        default="16G",
        metadata=option(
            "size of the root volume: 16G, or a number of GiB",
            metavar="SIZE",
            env="AWS_ROOT_SIZE",
            aliases=("--amazonec2-root-size",),
        ),
    )
    aws_volume_type: str = field(
        default="gp3",
        metadata=option(
            "type of the root volume", metavar="TYPE", env="AWS_VOLUME_TYPE", aliases=("--amazonec2-volume-type",)
        ),
    )
    aws_volume_iops: int | None = field(
        default=None, metadata=option("I/O operations per second of the root volume", metavar="N")
    )
    aws_volume_throughput: int | None = field(
        default=None, metadata=option("throughput of the root volume in MiB/s", metavar="N")
    )
    aws_volume_encrypted: bool = field(
        default=True,
        metadata=option(
            "encrypt the root volume", aliases=("--amazonec2-volume-encrypted", "--amazonec2-encrypt-ebs-volume")
        ),
    )
    aws_kms_key: str | None = field(
        default=None,
        metadata=option(
            "KMS key to encrypt it with [default: the account's for EBS]",
            metavar="KEY",
            aliases=("--amazonec2-volume-kms-key", "--amazonec2-kms-key"),
        ),
    )
    aws_device_name: str | None = field(
        default=None,
        metadata=option(
            "device of the root volume [default: as the image says]",
            metavar="DEVICE",
            env="AWS_DEVICE_NAME",
            aliases=("--amazonec2-device-name",),
        ),
    )
    aws_spot: bool = field(
        default=False, metadata=option("use a spot instance", aliases=("--amazonec2-request-spot-instance",))
    )
    aws_spot_price: str | None = field(
        default=None,
        metadata=option(
            "maximum spot price per hour, in dollars [default: the on-demand price]",
            metavar="PRICE",
            aliases=("--amazonec2-spot-price",),
        ),
    )
    aws_spot_fallback: bool = field(
        default=False, metadata=option("use an on-demand instance if there is no spot capacity")
    )
    aws_instance_profile: str | None = field(
        default=None,
        metadata=option(
            "instance profile (IAM role) for the host, by name or ARN",
            metavar="PROFILE",
            env="AWS_INSTANCE_PROFILE",
            aliases=("--amazonec2-iam-instance-profile",),
        ),
    )
    aws_tag: tuple[str, ...] = field(
        default=(),
        metadata=option(
            "tag for instance, volume and network interface",
            metavar="KEY=VALUE",
            env="AWS_TAGS",
            aliases=("--amazonec2-tags",),
        ),
    )
    aws_user_data: str | None = field(
        default=None,
        metadata=option(
            "cloud-config file or script to merge into pymachine's",
            metavar="FILE",
            env="AWS_USERDATA",
            aliases=("--amazonec2-userdata",),
        ),
    )
    aws_key_pair: str | None = field(
        default=None,
        metadata=option(
            "additional EC2 key pair for the host [default: none, cloud-init installs pymachine's key]",
            metavar="NAME",
            env="AWS_KEYPAIR_NAME",
            aliases=("--amazonec2-keypair-name",),
        ),
    )
    aws_import_key: bool = field(
        default=False, metadata=option("install pymachine's key as an EC2 key pair, for images without cloud-init")
    )
    aws_ssh_key: str | None = field(
        default=None,
        metadata=option(
            "additional private key file for the host; required for an adopted instance",
            metavar="FILE",
            env="AWS_SSH_KEYPATH",
            aliases=("--amazonec2-ssh-keypath",),
        ),
    )
    aws_ssh_user: str | None = field(
        default=None,
        metadata=option(
            "account to log in to [default: the image's, such as ubuntu]",
            metavar="USER",
            env="AWS_SSH_USER",
            aliases=("--amazonec2-ssh-user",),
        ),
    )
    aws_ssh_port: int = field(
        default=22,
        metadata=option(
            "port on which the image's SSH server listens",
            metavar="PORT",
            env="AWS_SSH_PORT",
            aliases=("--amazonec2-ssh-port",),
        ),
    )
    aws_ssh_via: Literal["direct", "instance-connect", "ssm"] = field(
        default="direct",
        metadata=option(
            "SSH connection: direct; instance-connect, which sends a key valid for a minute; or ssm, through "
            "Session Manager and its plugin",
            metavar="WAY",
            env="PYMACHINE_AWS_SSH_VIA",
        ),
    )
    aws_host_key: Literal["first-contact", "console"] = field(
        default="first-contact",
        metadata=option(
            "source of the host's SSH key: first contact, or the instance's console output before it",
            metavar="FROM",
            env="PYMACHINE_AWS_HOST_KEY",
        ),
    )
    aws_address: Literal["public", "private", "ipv6"] = field(
        default="public",
        metadata=option(
            "address of the instance to use: public, private, or ipv6", metavar="KIND", env="PYMACHINE_AWS_ADDRESS"
        ),
    )
    aws_use_private_address: bool = field(
        default=False,
        metadata=option("the same as --aws-address private", aliases=("--amazonec2-use-private-address",)),
    )
    aws_private_address_only: bool = field(
        default=False,
        metadata=option("assign no public address", aliases=("--amazonec2-private-address-only",)),
    )
    aws_ipv6: bool = field(default=False, metadata=option("assign an IPv6 address of the subnet"))
    aws_metadata_hops: int = field(
        default=2,
        metadata=option(
            "hop limit of the metadata service (IMDSv2); 1 denies containers",
            metavar="N",
            aliases=("--amazonec2-metadata-token-response-hop-limit",),
        ),
    )
    aws_metadata_tokens: Literal["required", "optional"] = field(
        default="required",
        metadata=option(
            "tokens of the metadata service: required (IMDSv2), or optional, which allows IMDSv1",
            metavar="WHETHER",
            aliases=("--amazonec2-metadata-token", "--amazonec2-http-tokens"),
        ),
    )
    aws_metadata_endpoint: str = field(
        default="enabled",
        metadata=option(
            "no effect: the metadata service is enabled, the host reads its set-up from it",
            metavar="enabled",
            flag="--amazonec2-http-endpoint",
        ),
    )
    aws_monitoring: bool = field(
        default=False, metadata=option("detailed monitoring (charged)", aliases=("--amazonec2-monitoring",))
    )
    aws_ebs_optimized: bool = field(
        default=False,
        metadata=option(
            "enable EBS optimisation; newer types always have it",
            aliases=("--amazonec2-use-ebs-optimized-instance",),
        ),
    )
    aws_endpoint_url: str | None = field(
        default=None,
        metadata=option(
            "URL of the EC2 API [default: AWS_ENDPOINT_URL, the profile, the region's]",
            metavar="URL",
            env="AWS_ENDPOINT",
            aliases=("--amazonec2-endpoint",),
        ),
    )
    aws_checkip_url: str = field(
        default=CHECKIP_URL,
        metadata=option("page that returns your public address", metavar="URL", env="PYMACHINE_AWS_CHECKIP_URL"),
    )
    aws_retries: int = field(
        default=8,
        metadata=option("tries of a call that only reads", metavar="N", aliases=("--amazonec2-retries",)),
    )
    aws_insecure_transport: bool = field(
        default=False,
        metadata=option(
            "allow an http: URL as the endpoint",
            env="AWS_INSECURE_TRANSPORT",
            aliases=("--amazonec2-insecure-transport",),
        ),
    )
    aws_security_group_readonly: bool = field(
        default=False,
        metadata=option(
            "no effect: given groups are never changed",
            env="AWS_SECURITY_GROUP_READONLY",
            aliases=("--amazonec2-security-group-readonly",),
        ),
    )
    aws_access_key: str | None = field(
        default=None,
        repr=False,
        metadata=credential(f"access key of this machine {_SEARCH}", flag="--amazonec2-access-key", metavar="ID"),
    )
    aws_secret_key: str | None = field(
        default=None,
        repr=False,
        metadata=credential(f"its secret {_SEARCH}", flag="--amazonec2-secret-key", metavar="SECRET"),
    )
    aws_session_token: str | None = field(
        default=None,
        repr=False,
        metadata=credential("token of its session", flag="--amazonec2-session-token", metavar="TOKEN"),
    )
    aws_block_duration: int | None = field(
        default=None,
        metadata=option(
            "no effect: AWS no longer offers spot instances for a fixed time",
            metavar="MINUTES",
            flag="--amazonec2-block-duration-minutes",
        ),
    )
