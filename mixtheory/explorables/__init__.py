"""Explorables: figures of the book that a reader can move. Shown in a chapter with `page.explorable(name)`."""

from mixtheory.explorables.attack import ATTACK
from mixtheory.explorables.chord import CHORD
from mixtheory.explorables.engine import Explorable
from mixtheory.explorables.pairing_schemes import PAIRING
from mixtheory.explorables.posterior import POSTERIOR
from mixtheory.explorables.shrinkage import SHRINKAGE
from mixtheory.explorables.weight_law import WEIGHT_LAW

__all__ = ["EXPLORABLES", "Explorable"]

EXPLORABLES = {e.name: e for e in (SHRINKAGE, WEIGHT_LAW, PAIRING, CHORD, POSTERIOR, ATTACK)}
