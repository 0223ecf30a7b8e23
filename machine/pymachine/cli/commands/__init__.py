"""The commands: ``pymachine x`` is module ``x``; a command of a group is a module of the group's folder."""
