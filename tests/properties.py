"""How the property tests run: no deadline, as a busy machine is no fault; in CI the same examples each time."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

USUAL = 100  # examples of a property that says nothing else
FEW = 5
MANY = 20  # times as many in a soak run


def register() -> None:
    """Make the profiles known: ``run`` for a developer, ``ci``, ``few`` and ``soak``."""
    calm = settings(deadline=None, max_examples=USUAL, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
    settings.register_profile("run", calm)
    settings.register_profile("ci", calm, derandomize=True, database=None)
    # Said outright: in CI, Hypothesis has settings of its own that these would take over.
    settings.register_profile("few", calm, max_examples=FEW, derandomize=True, database=None)
    settings.register_profile("soak", calm, max_examples=MANY * USUAL, derandomize=False)


def examples(count: int) -> settings:
    """Settings for a property whose examples are slow: this many where others have the usual number."""
    return settings(max_examples=max(1, count * settings().max_examples // USUAL))
