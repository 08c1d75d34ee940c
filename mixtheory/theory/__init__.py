"""One file per chapter: each derives, predicts, simulates and lists its claims. Importing this registers them."""

from mixtheory.theory import covariance, mixing_moments

__all__ = ["covariance", "mixing_moments"]
