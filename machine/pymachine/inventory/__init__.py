"""Inventories: one YAML file, or several, that say what a fleet is to be. No I/O but what callers pass in."""

from pymachine.inventory.model import Fleet, MachineSpec, NodeSpec, Spot, StackSpec, SwarmSpec

__all__ = ["Fleet", "MachineSpec", "NodeSpec", "Spot", "StackSpec", "SwarmSpec"]
