"""Disk images for virtual machines: a cache of verified files on this computer."""
