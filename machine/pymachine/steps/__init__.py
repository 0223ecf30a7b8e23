"""The steps of which operations consist."""
