"""What it means to have checked something. Knows no claim by name."""

from mixtheory.evidence.check import Evidence, verify
from mixtheory.evidence.claim import Claim, Mutant, cases, chapters, claims, predicts, scratch_registry, simulates
from mixtheory.evidence.derivation import Derivation, Step
from mixtheory.evidence.expectation import (
    DistinctMean,
    Mean,
    MomentLaw,
    beta,
    centred,
    distinct_mean,
    expect,
    gaussian,
    scalar,
    without_replacement,
)
from mixtheory.evidence.source import source_hash
from mixtheory.evidence.store import evidence_for

__all__ = ["Claim", "Derivation", "DistinctMean", "Evidence", "Mean", "MomentLaw", "Mutant", "Step", "beta", "cases",
           "centred", "chapters", "claims", "distinct_mean", "evidence_for", "expect", "gaussian", "predicts", "scalar",
           "scratch_registry", "simulates", "source_hash", "verify", "without_replacement"]
