"""Measurements of trained networks: scores, calibration, membership, gradients, curvature, segments, batches."""
