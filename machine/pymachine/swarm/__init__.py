"""``pymachine swarm``: machines that exist become members of a Swarm, change their part in it, and leave it."""
