"""Fleets: the inventory that describes one, the plan that it takes, and its execution."""
