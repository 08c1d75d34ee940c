"""What is said about membership inference."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="attack_uses_loss", chapter="membership",
    says="Membership attacks work because members of the training set have a clearly lower loss.",
    supported_by=("membership.losses_ols", "membership.auc_gaussian", "membership.gap_erm", "membership.auc_erm"),
    refuted_by=("membership.auc_logistic", "membership.whitebox"),
    corrected=r"A gap is what a loss-threshold attack lives on, but its power is not the gap: for normal residuals it "
              r"is the gap over the sum of the losses, for logistic regression another quantity altogether, and an "
              r"attacker who knows the model uses more than the loss.")
Account(
    id="never_sees_examples", chapter="membership",
    says="A model trained with mixup never sees a single original example.",
    supported_by=("membership.self_weight",),
    refuted_by=("membership.interpolators_stay", "membership.own_weight", "membership.gap_ols"),
    corrected=r"It need not see one to remember it. A linear interpolator fits every example exactly, mixing or not; a "
              r"free function does so in two or more dimensions at every $\alpha$, and on a line for $\alpha < 1$. "
              r"Only on a line, without self-pairs, and beyond $\alpha = 1$ are inner points forgotten. With a random "
              r"permutation a few examples meet themselves and are seen as they are.")
Account(
    id="loss_gap", chapter="membership",
    says="Mixup systematically narrows the gap between the losses of members and of others.",
    supported_by=("membership.gap_ridge", "membership.gap_smoother", "membership.gap_logistic"),
    refuted_by=(("membership.gap_ols", "gap times s"), "membership.ridge_gap_rises", "membership.df_polynomial"),
    corrected=r"Not systematically. Least squares keeps its gap exactly. Ridge regression narrows it on a fixed "
              r"design; on a random one with a strong signal the gap can rise with $\alpha$. With features of "
              r"mixed inputs it mostly falls and can rise. For logistic regression with well separated classes the "
              r"mean gap falls.")
Account(
    id="attack_harder", chapter="membership",
    says="A narrower gap makes it harder to tell members from others.",
    supported_by=("membership.auc_balanced", "membership.whitebox_tail"),
    refuted_by=(("membership.auc_gaussian", "the gap, not the relative gap"), "membership.direction",
                "membership.whitebox"),
    corrected=r"What counts for normal residuals is the gap relative to the losses. In logistic regression mixup "
              r"narrows the mean gap while the average power of a loss-threshold attack rises; the mean exposure of a "
              r"record does not change at leading order: that of the most exposed falls, that of the others rises.")
Account(
    id="alpha_tunes_privacy", chapter="membership",
    says="The strength of this protection can be tuned by alpha.",
    supported_by=("membership.gap_ridge", "membership.same_curve", "membership.gap_logistic"),
    refuted_by=("membership.ridge_floor", "membership.gap_ols", "membership.df_polynomial"),
    corrected=r"In ridge regression $\alpha$ stands for a ridge between $\varrho$ and $2\varrho$: the same losses and "
              r"the same gap can be had without mixing, and no more than that. In least squares it tunes nothing, and "
              r"where it does act, more is not always less exposure.")
