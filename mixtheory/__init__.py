"""Mixup, verified: theory that is derived, computed, simulated and trained."""

__version__ = "0.1.0"
