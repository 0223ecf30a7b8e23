"""Inventories: one YAML file, or several, that say what a fleet is to be. No I/O but what callers pass in."""

from pymachine.fleet.inventory.context import Paths, SecretSource, Surroundings
from pymachine.fleet.inventory.errors import Finding, InventoryFaults
from pymachine.fleet.inventory.load import Inventory, load
from pymachine.fleet.inventory.model import Fleet, MachineSpec, NodeSpec, Spot, StackSpec, SwarmSpec
from pymachine.fleet.inventory.yaml_reader import Source

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
