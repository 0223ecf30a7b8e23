"""The driver for Amazon EC2 instances."""

from __future__ import annotations

from pymachine_aws.driver import AwsDriver
from pymachine_aws.options import AwsOptions

__all__ = ["AwsDriver", "AwsOptions"]
