"""Contexts of the docker client for machines: made, kept up to date and removed through ``docker context``."""
