"""The error of a template that cannot be read, or not be filled in."""

from __future__ import annotations

from pymachine.errors import UsageFault


class TemplateError(UsageFault):
    """A template is not valid, is outside the set that is supported, or does not fit its data."""
