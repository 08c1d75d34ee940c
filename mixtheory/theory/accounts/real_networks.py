"""What is said about trained networks as a whole."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="overfitting_remedy", chapter="real_networks",
    says="Mixup keeps networks of large capacity from memorising their training data.")
Account(
    id="more_accurate", chapter="real_networks",
    says="Networks trained with mixup are more accurate on new data.")
Account(
    id="noise_regularises", chapter="real_networks",
    says="The extra gradient noise regularises: it keeps the optimiser out of sharp, narrow minima.")
