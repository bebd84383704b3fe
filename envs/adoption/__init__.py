"""A behaviour that spreads over a contact network: the small, readable population world."""

from .adoption import Adopters, Adoption

__all__ = ["Adopters", "Adoption"]
