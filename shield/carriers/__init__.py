"""Carriers: how a change is written into a photo. As pixels, and as a small warp."""

from shield.carriers.change import Change, bent_regions, written
from shield.carriers.flow import Field, Flow, bent, search_flow

__all__ = ["Change", "Field", "Flow", "bent", "bent_regions", "search_flow", "written"]
