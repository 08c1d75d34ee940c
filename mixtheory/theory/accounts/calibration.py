"""What is said about calibration."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="labels_follow_inputs", chapter="calibration",
    says="An input mixed 70 to 30 should carry a label mixed 70 to 30.",
    supported_by=("calibration.chord_quadratic",),
    refuted_by=(("calibration.chord", "no gap"),),
    corrected=r"Such labels are right where $\eta(x) = P(y = 1\mid x)$ runs straight from one example to the other. "
              r"Where it bends they are off by the gap to the chord, on average $c\,(1 - s)\operatorname{Var}x$ for a "
              r"parabola.")
Account(
    id="hard_labels", chapter="calibration",
    says="Training on one-hot labels is a main cause of overconfidence.",
    supported_by=("calibration.plug_in_moments",),
    refuted_by=("calibration.optimal_prediction",),
    corrected=r"Not the hardness of the labels: under a proper loss their mean, the true posterior, is the best "
              r"answer. It is fitting few of them: a score estimated from $n$ examples in $d$ dimensions is too "
              r"steep by $1 + \frac{d}{n|\mu|^2}$.")
Account(
    id="never_certain", chapter="calibration",
    says="Since its labels are soft, mixup never rewards complete certainty.",
    refuted_by=(("calibration.one_hot_share", "never"),),
    corrected=r"A share $\sum_k \pi_k^2 \ge \frac1K$ of the pairs join two examples of one class and keep a one-hot "
              r"label.")
Account(
    id="optimal_prediction", chapter="calibration",
    says="The best prediction under mixup is the expected mixed label.",
    supported_by=("calibration.optimal_prediction", "calibration.posterior"),
    corrected="Given what the model sees, and for every proper loss.")
Account(
    id="one_half", chapter="calibration",
    says="For a mix of two different classes a model learns to answer one half.",
    supported_by=("calibration.pair_only",),
    refuted_by=(("calibration.posterior", "one half for every mix"),),
    corrected=r"Only if it sees nothing but the two classes. It sees the mixed input, which tells about the shares, "
              r"and learns $\mathbb{E}[\tilde y\mid\tilde x]$.")
Account(
    id="better_calibrated", chapter="calibration",
    says="Mixup leads to better calibrated predictions.",
    supported_by=("calibration.best_alpha", "calibration.plug_in_ece"),
    refuted_by=(("calibration.confidence_gap", "calibrated"), "calibration.overshoot", "calibration.underconfident",
                "calibration.link_scaled"),
    corrected=r"Where a model is overconfident, a small enough $\alpha$ improves its calibration and a large one "
              r"overshoots. Enough data and a rich model end too unsure (two equal Gaussian classes), and after a "
              r"temperature has been fitted mixup can be the worse start.")
