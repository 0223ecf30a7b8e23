"""Imported by what forks: boto3 and its model of EC2 are loaded then, which takes a second of processor time."""

from __future__ import annotations

from contract import aws_program
from pymachine_aws.api import AwsAccount

__all__ = ["aws_program"]

AwsAccount("us-east-1").words("InstanceType")
