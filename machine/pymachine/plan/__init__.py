"""From an inventory, the records and what was found on the hosts to a list of actions with reasons. Pure."""
