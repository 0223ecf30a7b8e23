"""The Docker engine on a host: facts, plan, set-up, and talking to it."""
