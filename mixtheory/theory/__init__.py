"""One file per chapter: each derives, predicts, simulates and lists its claims. Importing this registers them."""

from mixtheory.theory import mixing_moments, covariance, covariance_batch, accounts  # isort: skip  (chapter order)

__all__ = ["accounts", "covariance", "covariance_batch", "mixing_moments"]
