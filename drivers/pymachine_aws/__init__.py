"""Instances of Amazon's EC2."""

from __future__ import annotations

from pymachine_aws.driver import AwsDriver
from pymachine_aws.options import AwsOptions

__all__ = ["AwsDriver", "AwsOptions"]
