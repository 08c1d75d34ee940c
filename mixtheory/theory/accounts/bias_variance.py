"""What is said about bias and variance."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="no_mixup_overfits", chapter="bias_variance",
    says="Without mixup a flexible model fits the training data perfectly and generalises poorly.")
Account(
    id="large_alpha_underfits", chapter="bias_variance",
    says="A very large alpha underfits: the bias is high and the variance low.")
Account(
    id="circles_harmed", chapter="bias_variance",
    says="Where the true boundary is strongly curved, as between concentric circles, much mixing does harm.")
Account(
    id="ambiguous_labels", chapter="bias_variance",
    says="The harm comes from ambiguous labels at points that clearly belong to one class.")
Account(
    id="intermediate_alpha", chapter="bias_variance",
    says="The best alpha lies in between: enough variance removed, little bias added.")
Account(
    id="early_mixing", chapter="bias_variance",
    says="Much mixing early in training reduces the variance while the model is still coarse.")
Account(
    id="annealing", chapter="bias_variance",
    says="Letting alpha fall to zero during training removes the bias and lets the model learn the details.")
