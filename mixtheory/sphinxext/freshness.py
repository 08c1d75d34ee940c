"""No page survives a change in the package: its bytes are hashed, and a new hash drops what was executed and read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

PACKAGE = Path(__file__).parents[1]


def package_hash(package: Path = PACKAGE, records: Path | None = None) -> str:
    """SHA-256 over names and bytes of every source file of the package and every committed record."""
    digest = hashlib.sha256()
    for folder, pattern in ((package, "*.py"), (package, "*.js"), (records, "*.json")):
        for path in sorted(folder.rglob(pattern)) if folder else ():
            digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def drop_stale_cache(app: Sphinx) -> None:
    """Empty the execution cache when another version of the package filled it."""
    app.mixtheory_hash = package_hash(records=Path(app.srcdir, "book", "records"))
    cache = Path(app.env.mystnb_config.execution_cache_path)
    stamp = cache / "mixtheory.sha256"
    if cache.is_dir() and (not stamp.is_file() or stamp.read_text() != app.mixtheory_hash):
        from jupyter_cache import get_cache

        get_cache(cache).clear_cache()
    cache.mkdir(parents=True, exist_ok=True)
    stamp.write_text(app.mixtheory_hash)


def reread_stale_pages(app: Sphinx, env: BuildEnvironment, *_: Any) -> set[str]:
    """Every page, when another version of the package made them; their hash is pickled with them."""
    if getattr(env, "mixtheory_hash", None) == app.mixtheory_hash:
        return set()
    env.mixtheory_hash = app.mixtheory_hash
    return set(env.found_docs)
