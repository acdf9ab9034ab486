"""Carriers: how a change is written into a photo. As pixels, and as a small warp."""

from shield.carriers.change import Change, bent_regions, written
from shield.carriers.flow import GRID, Field, Flow, bent, lent, search_flow

__all__ = ["GRID", "Change", "Field", "Flow", "bent", "bent_regions", "lent", "search_flow", "written"]
