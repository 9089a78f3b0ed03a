"""A simulated fleet: the tables that the pods of a service would write, and what is true of them."""

from __future__ import annotations

from benchmarks.simulated_fleet.make import make_fleet
from benchmarks.simulated_fleet.plan import FleetPlan
from benchmarks.simulated_fleet.truth import PlantedLeak, Truth

__all__ = ("FleetPlan", "PlantedLeak", "Truth", "make_fleet")
