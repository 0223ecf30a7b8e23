"""Fakes and the driver contract suite, for the tests of drivers and of pymachine itself."""
