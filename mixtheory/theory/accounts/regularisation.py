"""What is said about regularisation in linear models."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="variance_is_regularisation", chapter="least_squares",
    says="Less variance in the data is what regularises; it is the statistical signature of regularisation.",
    refuted_by=("least_squares.invariance",),
    corrected=r"A smaller covariance regularises nothing by itself: least squares with an intercept gives "
              r"the same fit at every $\alpha$. It regularises through a penalty, early stopping or a "
              r"nonlinearity.")
Account(
    id="stable_fit", chapter="least_squares",
    says="A model trained on mixed data is more stable and less misled by noise in the sample.",
    supported_by=("least_squares.ridge",),
    refuted_by=("least_squares.invariance", "least_squares.sampled_pairs"),
    corrected=r"Where there is a penalty to strengthen, as for ridge. Plain least squares fits exactly the "
              r"same coefficients, and with a finite number of sampled pairs noisier ones.")
Account(
    id="alpha_knob", chapter="least_squares",
    says="Alpha is a knob for the strength of the regularisation.",
    supported_by=("least_squares.ridge",),
    refuted_by=("least_squares.ridge_ceiling", "least_squares.invariance"),
    corrected=r"A knob with a stop: it turns a ridge $\rho$ into $\rho/s < 2\rho$, and in least squares "
              r"without a penalty it turns nothing.")
