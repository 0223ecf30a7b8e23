"""Inventories: one or several YAML files that describe a fleet. All I/O is passed in by callers."""

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
