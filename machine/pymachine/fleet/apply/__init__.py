"""``pymachine plan``, ``apply``, ``destroy`` and ``drift``: a whole fleet, with the same steps as single commands."""
