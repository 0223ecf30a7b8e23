"""Inventories: one YAML file, or several, that say what a fleet is to be. No I/O but what callers pass in."""

from pymachine.fleet.inventory.context import Paths, SecretSource, Surroundings
from pymachine.fleet.inventory.errors import InventoryFault, InventoryFaults
from pymachine.fleet.inventory.load import Inventory, load
from pymachine.fleet.inventory.model import Fleet, MachineSpec, NodeSpec, Spot, StackSpec, SwarmSpec
from pymachine.fleet.inventory.yaml_reader import YamlFile

__all__ = [
    "Fleet",
    "Inventory",
    "InventoryFault",
    "InventoryFaults",
    "MachineSpec",
    "NodeSpec",
    "Paths",
    "SecretSource",
    "Spot",
    "StackSpec",
    "Surroundings",
    "SwarmSpec",
    "YamlFile",
    "load",
]
