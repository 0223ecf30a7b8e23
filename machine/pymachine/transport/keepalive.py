"""How often a connection shows that it is alive: what is between two computers forgets one that is silent."""

INTERVAL = 15  # seconds
