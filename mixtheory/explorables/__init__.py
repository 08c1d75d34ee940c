"""Explorables: figures of the book that a reader can move. Shown in a chapter with `page.explorable(name)`."""

from mixtheory.explorables.engine import Explorable
from mixtheory.explorables.shrinkage import SHRINKAGE

__all__ = ["EXPLORABLES", "Explorable"]

EXPLORABLES = {e.name: e for e in (SHRINKAGE,)}
