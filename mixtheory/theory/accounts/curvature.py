"""What is said about curvature and batch normalisation."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="smoother_landscape", chapter="curvature",
    says="Mixup smooths the loss landscape.")
Account(
    id="batchnorm_statistics", chapter="curvature",
    says="Mixup changes the statistics that batch normalisation works with.")
Account(
    id="hessian_scaled", chapter="curvature",
    says="The smaller covariance within a batch scales the Hessian of the loss down.")
Account(
    id="flatter_is_easier", chapter="curvature",
    says="The flatter landscape makes training more efficient.")
