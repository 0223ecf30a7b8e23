"""One verb of the driver, create or remove, in a process that can be killed.

The handle is kept in a file as the store keeps it: the old one or the new one, whenever the process ends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contract.aws_creating import QUICK
from pymachine_aws import AwsOptions
from pymachine_aws.handle import Ec2
from pymachine_aws.launch import Launch, Means
from pymachine_aws.parse_options import read_options
from pymachine_aws.placement import account_of, survey
from pymachine_aws.remove import remove
from unit.aws_wishes import request


def main(verb: str, path: Path, environ: Mapping[str, str]) -> None:
    """Do it, with the variables that lead to the test EC2."""
    os.environ.update(environ)
    handle = json.loads(path.read_text()) if path.exists() else None
    if verb == "create":
        create(path, handle)
    elif handle is not None:
        remove(Ec2.of(handle), clock=QUICK)


def create(path: Path, handle: Mapping[str, Any] | None) -> None:
    def remember(new: Mapping[str, Any]) -> None:
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(dict(new)))
        beside.replace(path)

    wanted = read_options(AwsOptions(aws_allow=("192.0.2.1/32",)))
    asked = request(resume=handle)
    site = survey(asked, wanted)
    Launch(asked, wanted, site, remember, Means(account_of(wanted), QUICK)).instance()
