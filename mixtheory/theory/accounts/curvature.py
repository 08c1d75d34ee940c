"""What is said about curvature and batch normalisation."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="smoother_landscape", chapter="curvature",
    says="Mixup smooths the loss landscape.",
    supported_by=("curvature.step_gain_floor", "curvature.saturated_orthogonal"),
    refuted_by=("curvature.batchnorm", "curvature.saturated_parallel", "curvature.logistic_optimum"),
    corrected=r"For least squares it never makes the landscape steeper. Behind batch normalisation in training mode "
              r"it changes nothing. For logistic regression on well separated classes the minimum becomes sharper, "
              r"because the predictions there are less saturated.")
Account(
    id="batchnorm_statistics", chapter="curvature",
    says="Mixup changes the statistics that batch normalisation works with.",
    supported_by=("curvature.running_variance", "curvature.running_variance_element", "curvature.running_pooled",
                  "curvature.variance_cv_large"))
Account(
    id="hessian_scaled", chapter="curvature",
    says="The smaller covariance within a batch scales the Hessian of the loss down.",
    supported_by=("curvature.centred", "curvature.logistic_origin", "curvature.mixed_behind"),
    refuted_by=(("curvature.least_squares", "everything shrinks"), ("curvature.batchnorm", "scaled by s"),
                ("curvature.logistic_optimum", "plain Hessian scaled by s")),
    corrected=r"By $s$ for least squares on centred inputs, and at zero weights. The mean of the inputs keeps its "
              r"curvature, batch normalisation in training mode cancels the factor exactly, and at trained logistic "
              r"minima of separated classes the curvature grows.")
Account(
    id="flatter_is_easier", chapter="curvature",
    says="The flatter landscape makes training more efficient.",
    supported_by=("curvature.condition_across",),
    refuted_by=(("curvature.centred", "condition improves by s"), "curvature.condition_isotropic",
                "curvature.condition_standardised"),
    corrected=r"A common factor changes the best step and not the number of steps: that is the condition number, which "
              r"mixup leaves alone for centred inputs and raises by up to 2 with an intercept. It improves only where "
              r"the mean of the inputs lies along directions of little variance.")
