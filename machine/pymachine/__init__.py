"""A machine provisioner for Docker hosts.

Import what you need from the submodules: ``pymachine.driver`` to write a driver, ``pymachine.testing`` to
prove one. This package itself imports nothing, so that ``pymachine env`` starts fast.
"""

__version__ = "0.1.0"
