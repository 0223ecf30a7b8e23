"""``pymachine snapshot``: keep a machine's state, and go back to it."""
