"""What is said about mixing at hidden layers."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="mixing_concepts", chapter="manifold",
    says="Mixing hidden representations interpolates between concepts, not between pixels.")
Account(
    id="smooth_representations", chapter="manifold",
    says="Manifold mixup makes the learned representations smooth and well behaved.")
Account(
    id="manifold_stronger", chapter="manifold",
    says="Manifold mixup regularises more strongly than mixup of the inputs.")
Account(
    id="manifold_private", chapter="manifold",
    says="Manifold mixup makes a model depend less on single examples, hence harder to attack.")
