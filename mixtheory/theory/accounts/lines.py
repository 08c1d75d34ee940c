"""What is said about straight lines between examples, kinks and Occam's razor."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="segment_coverage", chapter="geometry",
    says="The model learns from every point of the line between two examples.")
Account(
    id="smoother_functions", chapter="geometry",
    says="Mixup leads to smoother functions.")
Account(
    id="oscillation_penalty", chapter="geometry",
    says="Functions that oscillate between training points are penalised.")
Account(
    id="chord_penalty", chapter="geometry",
    says="Every departure of the function from the straight line between two examples adds to the loss.")
Account(
    id="kink_penalty", chapter="geometry",
    says="In a ReLU network the penalty comes from its kinks, where it leaves the line of the mixed labels.")
Account(
    id="simplest_assumption", chapter="geometry",
    says="A straight line between examples is the simplest assumption about the space between them.")
Account(
    id="occam", chapter="geometry",
    says="Mixup is Occam's razor as a loss: of two functions the more complex one pays more.")
