"""What is said about active learning."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="uncertainty_at_boundary", chapter="active_learning",
    says="One would expect mixup to raise the uncertainty near the boundary, a help in active learning.")
Account(
    id="entropy_below_bayes", chapter="active_learning",
    says="Between the classes mixup can be less uncertain than the Bayes classifier.")
