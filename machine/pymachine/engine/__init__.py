"""The Docker engine on a host: facts, plan, set-up, and requests to its API."""
