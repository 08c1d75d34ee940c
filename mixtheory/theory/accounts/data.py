"""What is said about the data that mixing makes."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="mean_unchanged", chapter="covariance",
    says="Mixing a data set leaves its mean where it was.",
    supported_by=("covariance.mean", "covariance.batch_mean"),
    refuted_by=(("covariance.batch_mean_element", "no noise"),),
    corrected=r"In expectation always. The mean of a batch stays exactly when one $\lambda$ is shared and "
              r"everyone is a partner once; with a $\lambda$ for each example it moves, by a covariance of "
              r"$\frac{2 \operatorname{Var}\lambda}{n - 1}\,C$ where nobody is their own partner.")
Account(
    id="covariance_factor", chapter="covariance",
    says="The covariance of mixed data is the original one times a number that depends only on alpha.",
    supported_by=("covariance.population",),
    refuted_by=(("covariance.batch_distinct", "population factor"),),
    corrected=r"With independent partners the number is $s = \frac{\alpha + 1}{2\alpha + 1}$. Within a "
              r"batch it depends on $n$ and on the pairing too: $s - \frac{1 - s}{n - 1}$ where nobody is "
              r"their own partner.")
Account(
    id="factor_below_one", chapter="mixing_moments",
    says="That number is below one.",
    supported_by=("mixing_moments.shrinkage", "mixing_moments.range_upper"),
    corrected=r"For every $\alpha > 0$, and it never falls below one half: $\frac12 \le s < 1$.")
Account(
    id="tamer_data", chapter="covariance",
    says="Mixed data are less chaotic, a tamer version of the original.",
    refuted_by=("covariance.kurtosis", "covariance.kurtosis_threshold", "covariance.kurtosis_gaussian",
                "mixing_moments.range_lower"),
    corrected=r"Second moments shrink, by one half at most. The tails need not: the kurtosis becomes "
              r"$\frac{\kappa q_4 + 6\,\mathbb{E}u^2}{s^2}$, which can exceed $\kappa$, and Gaussian data "
              r"stop being Gaussian.")
Account(
    id="batch_covariance_reduced", chapter="covariance",
    says="Mixing reduces the covariance of the features within a batch.",
    supported_by=("covariance.batch_permutation", "covariance.batch_distinct",
                  "covariance.batch_independent"),
    corrected=r"On average over $\lambda$ and the order, and not by a fixed number: with one $\lambda$ a "
              r"batch the factor varies, with a variance that tends to $V_S$, not to zero, in large batches.")
