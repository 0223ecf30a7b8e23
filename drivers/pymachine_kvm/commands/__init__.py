"""Commands that the package adds to the command line: the only ones here that know click."""
