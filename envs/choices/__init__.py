"""Choices: people who choose among a few things, over and over, by preferences of their own."""

from .choosing import Chooser, Choosing

__all__ = ["Chooser", "Choosing"]
