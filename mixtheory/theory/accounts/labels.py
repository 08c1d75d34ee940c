"""What is said about the entropy of labels."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="entropy_injected", chapter="labels",
    says="Mixup and label smoothing are one idea: both add entropy to the targets.",
    supported_by=("labels.entropy", "labels.smoothing_entropy", "labels.smoothing_by_mean"),
    refuted_by=(("labels.entropy_gap", "one mean, one entropy"),
                ("labels.interpolating_confidence", "as the smoothing of the same mean")),
    corrected=r"Both do, and for balanced classes the mean mixup label is a smoothed label. But the same mean is not "
              r"the same entropy: smoothing with mixup's mean label has more, by an amount that grows like "
              r"$\epsilon\ln K$. And what a network that fits its targets says of a clean example differs: "
              r"$1-\epsilon\,(K-1)/K$ under smoothing, 1 under mixup.")
Account(
    id="smoothing_uniform", chapter="labels",
    says="Label smoothing adds it uniformly, mixup depending on the data, with a whole range of soft labels.",
    supported_by=("labels.smoothing_entropy", "labels.entropy", "labels.shrunk_mean", "labels.perturbation_cross"),
    corrected=r"One smoothed label per class against a range of labels: a constant shrinkage of the label and a noise "
              r"that is correlated with the noise of the input. A share $\sum_k\pi_k^2$ of the pairs keeps one-hot "
              "labels.")
