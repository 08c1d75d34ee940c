"""What runs beside a student's code: a fence around files, processes and the network, and the tests.

The fence is an audit hook: it stops what a curious student would try, not an attacker. Where that matters, grade in a
container or as a user who can read nothing.
"""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["ESCAPES", "Grader", "escapes", "fence", "limit", "run_test", "stay"]

ESCAPES: list[str] = []                 # what the fence has stopped
SYSTEM = ("/dev", "/etc", "/lib", "/sys", "/usr", "/opt", "/System", "/Library", "/proc/self", "/proc/stat",
          "/proc/cpuinfo", "/proc/meminfo", "/proc/mounts", "/proc/sys")
LIBRARIES = ("numpy", "scipy", "sympy", "otter", "mixtheory", "IPython", "itertools", "math", "unittest")
HARMLESS = ("fc-list", "uname")         # libraries ask for these and do without
LISTINGS = frozenset({"os.listdir", "os.scandir"})
WRITES = frozenset({"os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink",
                    "os.truncate"})
FORBIDDEN = frozenset({"os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.posix_spawn", "os.spawn",
                       "os.system", "pty.spawn", "socket.bind", "socket.connect", "socket.getaddrinfo",
                       "subprocess.Popen"})
WATCHED = LISTINGS | WRITES | FORBIDDEN | {"open"}
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CANARY = '''
from otter.test_files import test_case
OK_FORMAT = False
name = "canary"
points = 1

@test_case(points=1, hidden=True)
def test_canary(env):
    import numpy as np
    from mixtheory.course import checks
    assert not np.isclose(1.0, 2.0) and not np.allclose([1.0, 2.0], [1.0, 3.0]) and np.allclose([1.0], [1.0])
    assert not np.array_equal([1.0, 2.0], [1.0, 3.0]) and np.max(np.abs([1.0, -3.0])) == 3.0
    assert not checks.close([1.0, 2.0], [1.0, 3.0]) and checks.close(1.0, 1.0) and checks.number(2, "two") == 2.0
    assert float("0.5") < abs(-0.75) and max([1, 2]) == 2 and sum([1, 2]) == 3
    raise AssertionError("a test that must fail")
'''
FAILS = "AssertionError: a test that must fail"


def limit(memory: int, file: int) -> None:
    """Bound this process's memory and the size of the files that it writes, in bytes, for good."""
    import resource

    for what, size in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, file), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        size = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(what, (size, size))


def fence(own: str) -> None:
    """From now on: files of the system and of Python are read, those in the folder `own` also written; nothing else.

    No processes either, and no network.
    """
    import mixtheory

    readable = (own, sys.prefix, sys.base_prefix, *mixtheory.__path__, *SYSTEM)
    roots = tuple(os.path.realpath(p) + os.sep for p in readable)
    writable = tuple(os.path.realpath(p) + os.sep for p in (own, "/dev"))
    listable = {os.path.realpath(p) for p in sys.path}

    def refused(event: str, args: tuple[Any, ...]) -> bool:
        if event in FORBIDDEN:
            return True
        writes = event in WRITES or (event == "open" and bool((args[2] or 0) & WRITE_FLAGS))
        named = [os.path.realpath(os.fsdecode(a)) for a in args[:2 if event in WRITES else 1]
                 if isinstance(a, (str, bytes, os.PathLike))]
        return not all((path + os.sep).startswith(writable if writes else roots)
                       or (event in LISTINGS and path in listable) for path in named)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in WATCHED and refused(event, args):
            what = f"{event} {args[0] if args else ''}"[:120].strip()
            if not (event == "subprocess.Popen" and args[0] in HARMLESS):
                ESCAPES.append(what)
            raise PermissionError(f"the grader does not allow {what}")

    sys.addaudithook(hook)


class Grader:
    """Stands for Otter's client while a notebook is graded: its checks do nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **options: None


def stay(*args: Any) -> None:
    """In place of exit and quit, which would end the kernel."""
    raise RuntimeError("a notebook must not end its own kernel")


def run_test(source: str) -> str:
    """Run one of Otter's test files on the notebook's names; a dict with score, possible and what failed, as text."""
    from IPython import get_ipython
    from otter.test_files import ExceptionTestFile

    test, canary = ExceptionTestFile.from_string(source), ExceptionTestFile.from_string(CANARY)
    for file in (test, canary):
        file.run(dict(get_ipython().user_ns))
    failed = [r.message.strip().splitlines()[-1] for r in test.test_case_results if not r.passed]
    tampered = bool(canary.score) or not canary.test_case_results[0].message.endswith(FAILS)
    return _plain({"score": 0.0 if tampered else float(test.score), "possible": float(test.possible), "failed": failed,
                   "tampered": tampered, "cases": len(test.test_case_results)})


def escapes() -> str:
    """What the fence has stopped, and what of the libraries is now a function of the notebook; a list as text."""
    return _plain([*ESCAPES, *(f"to change {name}" for name in patched())])


def patched() -> list[str]:
    """Names in libraries that now stand for functions of the notebook."""
    found = set()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in LIBRARIES:
            places = [(name, vars(module)), *((f"{name}.{key}", vars(value)) for key, value in vars(module).items()
                                              if isinstance(value, type) and value.__module__ == name)]
            found |= {f"{place}.{key}" for place, names in places for key, value in list(names.items())
                      if key != "__module__" and getattr(value, "__module__", None) == "__main__"}
    return sorted(found)


def _plain(value: Any) -> str:
    """A literal that the kernel will show as it is: what a notebook has told it about showing text is forgotten."""
    from IPython import get_ipython

    get_ipython().init_display_formatter()
    return repr(value)
