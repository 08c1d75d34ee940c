"""Notebooks that are not in the cache are executed in parallel before they are read."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.display import status_iterator


def execute_ahead(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Execute the notebooks that the cache does not hold; the reader reports one that fails."""
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn
    from jupyter_cache.executors.utils import single_nb_execution
    from myst_nb.core.read import create_nb_reader

    config = env.mystnb_config
    if config.execution_mode != "cache":
        return
    cache = get_cache(config.execution_cache_path)
    missing = []
    for name in docnames:
        path = Path(env.doc2path(name))
        text = path.read_text(encoding="utf-8")
        reader = create_nb_reader(str(path), env.myst_config, config, text)
        if reader is None:
            continue
        notebook = reader.read(text)
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            missing.append((path, notebook))
    if len(missing) < 2:
        return
    workers = min(os.cpu_count() or 1, len(missing))
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    running: dict[Future, Path] = {}
    with ThreadPoolExecutor(workers) as pool:
        for path, notebook in missing:
            running[pool.submit(single_nb_execution, notebook, cwd=str(path.parent), allow_errors=False,
                                timeout=config.execution_timeout)] = path
        for done in status_iterator(as_completed(running), "executing notebooks... ", "purple", len(running),
                                    app.verbosity, lambda future: running[future].stem):
            result = None if done.exception() else done.result()
            if result is not None and result.err is None:
                bundle = CacheBundleIn(result.nb, str(running[done]), data={"execution_seconds": result.time})
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    if before is None:
        del os.environ["OMP_NUM_THREADS"]
