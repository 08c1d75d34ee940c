"""One file per chapter or part of one: each derives, predicts, simulates and lists its claims."""

from mixtheory.theory import mixing_moments, mixing_moments_bounds, mixing_moments_beta  # isort: skip  (in order)
from mixtheory.theory import mixing_moments_laws, mixing_moments_numerics  # isort: skip
from mixtheory.theory import covariance, covariance_batch  # isort: skip
from mixtheory.theory import least_squares, least_squares_descent, least_squares_noise  # isort: skip
from mixtheory.theory import gradients, gradients_losses, gradients_noise, gradients_scale  # isort: skip
from mixtheory.theory import gradients_logistic, gradients_descent  # isort: skip
from mixtheory.theory import calibration, calibration_mixture, calibration_gaussian  # isort: skip
from mixtheory.theory import calibration_temperature, calibration_shrinkage  # isort: skip
from mixtheory.theory import membership, membership_auc, membership_random, membership_smoothers  # isort: skip
from mixtheory.theory import membership_interpolation  # isort: skip
from mixtheory.theory import membership_gap, membership_logistic, membership_attack  # isort: skip
from mixtheory.theory import membership_whitebox  # isort: skip
from mixtheory.theory import geometry, geometry_kinks, geometry_gaussian, geometry_smooth  # isort: skip
from mixtheory.theory import geometry_bounds, geometry_loss, geometry_conflict  # isort: skip
from mixtheory.theory import curvature, curvature_batchnorm, curvature_running, curvature_logistic  # isort: skip
from mixtheory.theory import labels, labels_weight, labels_smoothing, labels_decomposition  # isort: skip
from mixtheory.theory import accounts  # isort: skip

__all__ = ["accounts", "calibration", "calibration_gaussian", "calibration_mixture", "calibration_shrinkage",
           "calibration_temperature", "covariance", "covariance_batch", "curvature", "curvature_batchnorm",
           "curvature_logistic", "curvature_running", "geometry", "geometry_bounds", "geometry_conflict",
           "geometry_gaussian", "geometry_kinks", "geometry_loss", "geometry_smooth", "gradients",
           "gradients_descent", "gradients_logistic", "gradients_losses", "gradients_noise", "gradients_scale",
           "labels", "labels_decomposition", "labels_smoothing", "labels_weight", "least_squares",
           "least_squares_descent", "least_squares_noise", "membership", "membership_attack", "membership_auc",
           "membership_gap", "membership_interpolation", "membership_logistic", "membership_random",
           "membership_smoothers", "membership_whitebox", "mixing_moments", "mixing_moments_beta",
           "mixing_moments_bounds", "mixing_moments_laws", "mixing_moments_numerics"]
