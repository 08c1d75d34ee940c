"""What a result depends on: a hash of the code that made it."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from pathlib import Path

__all__ = ["source_hash"]

PACKAGE = "mixtheory"


def source_hash(*modules: str, without: tuple[str, ...] = ()) -> str:
    """SHA-256 over the named modules and every module of this package that they import, at any depth.

    Packages named in `without`, and what only they import, are left out.

    Comments, layout and docstrings do not count: the hash is over syntax trees.
    """
    seen: dict[str, str] = {}
    todo = list(modules)
    while todo:
        name = todo.pop()
        if name not in seen and not any(name == w or name.startswith(w + ".") for w in without):
            seen[name], imports = _module(name)
            todo.extend(imports)
    text = "".join(f"{name}:{seen[name]}\n" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def _module(name: str) -> tuple[str, tuple[str, ...]]:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named {name!r}")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    imports = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            submodules = [f"{node.module}.{a.name}" for a in node.names if _is_module(f"{node.module}.{a.name}")]
            imports += submodules if len(submodules) == len(node.names) else [node.module, *submodules]
        body = getattr(node, "body", None)
        if (isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and body
                and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
                and isinstance(body[0].value.value, str)):
            node.body = body[1:]
    own = tuple(i for i in imports if i == PACKAGE or i.startswith(PACKAGE + "."))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), own


def _is_module(name: str) -> bool:
    if not name.startswith(PACKAGE + "."):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
