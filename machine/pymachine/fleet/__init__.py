"""Fleets: the inventory that describes one, the plan, and its execution."""
