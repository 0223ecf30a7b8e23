"""How the whole proof runs: its stages, its tiers, what it counts, and what it may cost. `python -m proof --help`."""
