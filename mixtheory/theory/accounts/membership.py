"""What is said about membership inference."""

from __future__ import annotations

from mixtheory.evidence.account import Account

Account(
    id="attack_uses_loss", chapter="membership",
    says="Membership attacks work because members of the training set have a clearly lower loss.")
Account(
    id="never_sees_examples", chapter="membership",
    says="A model trained with mixup never sees a single original example.")
Account(
    id="loss_gap", chapter="membership",
    says="Mixup systematically narrows the gap between the losses of members and of others.")
Account(
    id="attack_harder", chapter="membership",
    says="A narrower gap makes it harder to tell members from others.")
Account(
    id="alpha_tunes_privacy", chapter="membership",
    says="The strength of this protection can be tuned by alpha.")
