"""What is said about gradients."""

from __future__ import annotations

from mixtheory.evidence.account import Account
from mixtheory.theory import gradients_scale as scale

Account(
    id="gradient_of_mean_label", chapter="gradients",
    says="The mean gradient under mixup is the gradient at the averaged labels.",
    supported_by=("gradients.affine_target", "gradients.cross_entropy"),
    refuted_by=("gradients.counterexamples", ("gradients.not_erm", "the gradient at lambda = 1/2")),
    corrected=r"Given the mixed input, at the mean label of all pairs that meet there, and for losses whose gradient "
              r"is affine in the target, such as cross-entropy. Focal and hinge losses of soft targets differ. It is "
              r"neither the gradient at $\lambda = \frac12$ nor that of the unmixed data.")
Account(
    id="no_wrong_direction", chapter="gradients",
    says="Mixed labels do not push the parameters systematically in a wrong direction.",
    supported_by=("gradients.mean",),
    refuted_by=("gradients.pushes_back", ("gradients.not_erm", "the ERM gradient")),
    corrected=r"In linear regression on centred data the mean gradient keeps its direction and shrinks by $s$. In "
              r"logistic regression it does not vanish at the true weights: step after step it pulls the slope below "
              r"the truth.")
Account(
    id="gradient_noise_added", chapter="gradients",
    says="Mixup adds variance to the gradient of each step.",
    supported_by=("gradients.decomposition", "gradients.threshold"),
    refuted_by=(("gradients.noise_factor", "no mixing"),),
    corrected=r"Mixing labels adds a term, the spread of the targets at one input. Mixing inputs takes noise away, "
              r"and at the minimum of a linear regression with fresh partners it takes more: the total falls to "
              r"$\mathbb{E}S^2$. It rises where partners come from the batch, each element has a $\lambda$ of its "
              r"own and $\alpha$ is below 0.325 (roll) or 0.350 (flip).")
Account(
    id="gradient_noise_reduced", chapter="gradients",
    says="For a linear model mixup reduces the variance of the stochastic gradient considerably.",
    supported_by=("gradients.noise_factor", "gradients.gaussian_covariance"),
    refuted_by=("gradients.threshold", "gradients.floor", "gradients.logistic_threshold"),
    corrected=r"Per example in linear regression, at the minimum, to between $\frac14$ and 1 of what it was. Not "
              r"with a $\lambda$ for each element and a small $\alpha$, not with one $\lambda$ a batch in large "
              r"batches far from the minimum, and not in logistic regression on well separated classes.")
Account(
    id="steadier_steps", chapter="gradients",
    says="With less noise in the gradient the optimiser can take bolder and steadier steps.",
    supported_by=("gradients.stationary", "gradients.noise_scale_tails"),
    refuted_by=("gradients.equal_speed", "gradients.noise_scale_floor", "gradients.floor", "gradients.threshold"),
    corrected=r"At the same rate SGD wanders about the minimum by $\varphi/s$ of what it did, which can be less, but "
              r"it is also slower by $s$. At a bolder rate of equal speed it wanders by $\varphi/s^2$, never less. "
              r"Away from the minimum the noise relative to the signal rises too, by up to "
              f"{100 * (scale.noise_scale_ceiling(1.0) - 1):.0f} % for Gaussian features; it can fall where they have "
              rf"heavy tails and $\alpha > {scale.threshold('tails'):.3f}$.")
