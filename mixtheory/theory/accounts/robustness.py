"""What is said about adversarial examples."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="adversarial_cause", chapter="robustness",
    says="Adversarial examples exist because networks rely on odd, high-frequency patterns.")
Account(
    id="fills_cracks", chapter="robustness",
    says="Training between the examples closes the gaps that an adversary would use.")
Account(
    id="adversarial_risk", chapter="robustness",
    says="It is proved that mixup reduces the adversarial risk.")
