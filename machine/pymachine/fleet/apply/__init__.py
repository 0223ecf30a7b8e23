"""``pymachine plan``, ``apply``, ``destroy`` and ``drift``: a whole fleet, by the same steps as single commands."""
