"""Where things lie at run time.

`ROOT` is the checkout (the folder that holds this package and the book's `_toc.yml`), or None where the
package is installed without the book. `BUILD` takes what can be computed again: `$MIXTHEORY_BUILD` if it is
set, else `_build` in the checkout, else a folder in the user's cache. `RECORDS` holds the committed
training records, None without a checkout. Modules read `paths.BUILD` when they use it, so that a test can
point it elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["BUILD", "RECORDS", "ROOT", "cache"]


def cache() -> Path:
    """The user's cache folder of the package: `$XDG_CACHE_HOME/mixtheory`, else `~/.cache/mixtheory`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "mixtheory"


def find_root(package: Path) -> Path | None:
    """The checkout that holds the folder `package`, None if its parent is not one."""
    parent = package.resolve().parent
    return parent if (parent / "_toc.yml").is_file() else None


def find_build(root: Path | None) -> Path:
    """The build folder that belongs to the checkout `root`, or to none."""
    chosen = os.environ.get("MIXTHEORY_BUILD", "")
    if chosen:
        return Path(chosen).expanduser().resolve()
    return root / "_build" if root else cache()


ROOT: Path | None = find_root(Path(__file__).parent)
BUILD: Path = find_build(ROOT)
RECORDS: Path | None = ROOT / "book" / "records" if ROOT else None
