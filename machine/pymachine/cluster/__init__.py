"""Swarm mode as an engine's API offers it: one cluster, its nodes, its services. The docker SDK lives here alone."""
