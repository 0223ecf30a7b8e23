"""Disk images that machines boot: a shelf of verified files on this computer."""
