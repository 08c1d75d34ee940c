"""What is said about the entropy of labels."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="entropy_injected", chapter="labels",
    says="Mixup and label smoothing are one idea: both add entropy to the targets.")
Account(
    id="smoothing_uniform", chapter="labels",
    says="Label smoothing adds it uniformly, mixup depending on the data, with a whole range of soft labels.")
