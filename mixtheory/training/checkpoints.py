"""Where a long training stands, on disk: sealed with a digest, so that a damaged file is never gone on from."""

from __future__ import annotations

import hashlib
import io
import os
import time
from pathlib import Path
from typing import Any

import torch

__all__ = ["EVERY", "Checkpoint"]

EVERY = 20.0                        # seconds between two savings, at least
DIGEST = hashlib.sha256().digest_size


class Checkpoint:
    """The state of one training in a file; without a path nothing is kept.

    Args:
        path: of the file, or None.
        identity: of the training; a file with another identity is not used.
    """

    def __init__(self, path: Path | None, identity: str) -> None:
        self.path, self.identity, self.saved = path, identity, time.monotonic()

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """What was saved last, tensors on the device; None without a file, or with a damaged or another one."""
        if self.path is None or not self.path.is_file():
            return None
        raw = self.path.read_bytes()
        if hashlib.sha256(raw[DIGEST:]).digest() != raw[:DIGEST]:
            return None
        kept = torch.load(io.BytesIO(raw[DIGEST:]), weights_only=True, map_location=device)
        return kept if kept["identity"] == self.identity else None

    def save(self, **state: Any) -> None:
        """Keep a state, atomically, unless one was kept less than `EVERY` seconds ago."""
        if self.path is None or time.monotonic() - self.saved < EVERY:
            return
        content = io.BytesIO()
        torch.save({**state, "identity": self.identity}, content)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        aside.write_bytes(hashlib.sha256(content.getbuffer()).digest() + content.getbuffer())
        os.replace(aside, self.path)
        self.saved = time.monotonic()

    def remove(self) -> None:
        """The training has ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
