"""The commands: ``pymachine x`` is module ``x``, a command of a group a module of the group's folder."""
