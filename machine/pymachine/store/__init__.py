"""The store of machine records. ``store.sqlite`` is the default, ``store.protocol`` the contract.

Names are resolved on first use: ``store.lookup`` serves ``pymachine env`` without loading dataclasses.
"""

TYPE_CHECKING = False  # type checkers take the name for typing's; importing that costs a fifth of `pymachine env`
if TYPE_CHECKING:
    from pymachine.store.protocol import Broken, Holder, Lease, Operation, Store, StoreObserver, readable

__all__ = ["Broken", "Holder", "Lease", "Operation", "Store", "StoreObserver", "readable"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pymachine.store import protocol

    return getattr(protocol, name)
