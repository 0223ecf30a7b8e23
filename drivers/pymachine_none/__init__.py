"""Engines that somebody else set up: remembered, nothing more."""
