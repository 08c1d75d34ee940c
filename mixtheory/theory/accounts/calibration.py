"""What is said about calibration."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="labels_follow_inputs", chapter="calibration",
    says="An input mixed 70 to 30 should carry a label mixed 70 to 30.")
Account(
    id="hard_labels", chapter="calibration",
    says="Training on one-hot labels is a main cause of overconfidence.")
Account(
    id="never_certain", chapter="calibration",
    says="Since its labels are soft, mixup never rewards complete certainty.")
Account(
    id="optimal_prediction", chapter="calibration",
    says="The best prediction under mixup is the expected mixed label.")
Account(
    id="one_half", chapter="calibration",
    says="For a mix of two different classes a model learns to answer one half.")
Account(
    id="better_calibrated", chapter="calibration",
    says="Mixup leads to better calibrated predictions.")
