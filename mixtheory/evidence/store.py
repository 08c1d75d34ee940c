"""Evidence is computed once per source hash and kept: the suite, the chapters and the ledger read the same store."""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from mixtheory import paths
from mixtheory.domain import DomainError
from mixtheory.evidence.check import Evidence, verify
from mixtheory.evidence.claim import Claim, claims
from mixtheory.evidence.source import source_hash

__all__ = ["evidence_for", "write_atomically"]


def evidence_for(ids: Sequence[str] | None = None, *, fresh: bool = False, seed: int = 0,
                 progress: Callable[[Evidence], None] | None = None, jobs: int | None = None) -> dict[str, Evidence]:
    """The evidence of the named claims (default: all registered), computed where the store has none.

    Args:
        ids: claim ids; an unknown one raises DomainError.
        fresh: recompute even what is stored.
        seed: varies the random streams; every seed has its own entry.
        progress: called with each Evidence as it is ready.
        jobs: worker processes for what must be computed; default one a core.
    """
    known = claims()
    wanted = list(known) if ids is None else list(ids)
    unknown = [i for i in wanted if i not in known]
    if unknown:
        raise DomainError(f"claim ids = {unknown}: not registered")
    found: dict[str, Evidence] = {}
    missing: list[Claim] = []
    for name in wanted:
        stored = None if fresh else _read(known[name], seed)
        if stored is None:
            missing.append(known[name])
        else:
            found[name] = stored
            if progress:
                progress(stored)
    workers = min(jobs or os.cpu_count() or 1, len(missing))
    if workers <= 1:
        results = (_compute(c.module, c.id, seed) for c in missing)
        for evidence in results:
            found[evidence.id] = evidence
            if progress:
                progress(evidence)
    else:
        pool = ProcessPoolExecutor(workers)
        try:
            futures = [pool.submit(_compute, c.module, c.id, seed) for c in missing]
            for future in as_completed(futures):
                evidence = future.result()
                found[evidence.id] = evidence
                if progress:
                    progress(evidence)
        except BaseException:               # an interrupt above all: leave no worker behind
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return {name: found[name] for name in wanted}


def _compute(module: str, name: str, seed: int) -> Evidence:
    importlib.import_module(module)
    claim = claims()[name]
    try:
        evidence = verify(claim, seed=seed)
    except Exception as error:              # one claim that crashes must not hide the others
        return Evidence(name, problems=[f"the check crashed: {type(error).__name__}: {error}"])
    entry = {"source": _source(claim), "seed": seed, "evidence": evidence.to_dict()}
    write_atomically(_path(claim, seed), json.dumps(entry))
    return evidence


def _read(claim: Claim, seed: int) -> Evidence | None:
    try:
        entry = json.loads(_path(claim, seed).read_text(encoding="utf-8"))
        return Evidence(**entry["evidence"]) if entry["source"] == _source(claim) else None
    except (OSError, ValueError, KeyError, TypeError):      # absent or damaged: compute it again
        return None


def _source(claim: Claim) -> str:
    return source_hash(claim.module, "mixtheory.evidence.check")


def _path(claim: Claim, seed: int) -> Path:
    return paths.BUILD / "evidence" / f"{claim.id}.{seed}.json"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


