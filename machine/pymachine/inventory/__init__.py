"""Inventories: one YAML file, or several, that say what a fleet is to be. No I/O but what callers pass in."""

from pymachine.inventory.composing import Source
from pymachine.inventory.faults import Finding, InventoryFaults
from pymachine.inventory.loading import Inventory, load
from pymachine.inventory.model import Fleet, MachineSpec, NodeSpec, Spot, StackSpec, SwarmSpec
from pymachine.inventory.surroundings import Paths, SecretSource, Surroundings

__all__ = [
    "Finding",
    "Fleet",
    "Inventory",
    "InventoryFaults",
    "MachineSpec",
    "NodeSpec",
    "Paths",
    "SecretSource",
    "Source",
    "Spot",
    "StackSpec",
    "Surroundings",
    "SwarmSpec",
    "load",
]
