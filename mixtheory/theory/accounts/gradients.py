"""What is said about gradients."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="gradient_of_mean_label", chapter="gradients",
    says="The mean gradient under mixup is the gradient at the averaged labels.")
Account(
    id="no_wrong_direction", chapter="gradients",
    says="Mixed labels do not push the parameters systematically in a wrong direction.")
Account(
    id="gradient_noise_added", chapter="gradients",
    says="Mixup adds variance to the gradient of each step.")
Account(
    id="gradient_noise_reduced", chapter="gradients",
    says="For a linear model mixup reduces the variance of the stochastic gradient considerably.")
Account(
    id="steadier_steps", chapter="gradients",
    says="With less noise in the gradient the optimiser can take bolder and steadier steps.")
