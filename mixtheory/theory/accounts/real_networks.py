"""What is said about trained networks as a whole."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="overfitting_remedy", chapter="real_networks",
    says="Mixup keeps networks of large capacity from memorising their training data.",
    supported_by=("membership.self_weight", "membership.gap_logistic"),
    refuted_by=("membership.interpolators_stay", "membership.own_weight", "membership.whitebox"),
    corrected=r"Capacity beats it: a model that fits every vector of features fits their mixes too, and in two or more "
              r"dimensions the best free function of mixed inputs gives each example back its own label. On a line "
              r"beyond $\alpha = 1$ it does not, and smooth models with few parameters have a narrower mean gap; their "
              r"mean exposure stays.")
Account(
    id="more_accurate", chapter="real_networks",
    says="Networks trained with mixup are more accurate on new data.")
Account(
    id="noise_regularises", chapter="real_networks",
    says="The extra gradient noise regularises: it keeps the optimiser out of sharp, narrow minima.",
    refuted_by=("curvature.sharper_from", "curvature.logistic_optimum"),
    corrected=r"Mixup moves the minimum itself. For logistic regression on well separated classes the minimum that it "
              r"moves to is the sharper one, with or without noise; the runs of this page tell what networks did.")
