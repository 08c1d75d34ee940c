"""The hash follows the code and the imports of the package, and nothing else."""

from __future__ import annotations

import importlib
import sys

import pytest

from mixtheory.evidence import source, source_hash

TOP = '"""Doc."""\nimport math\nfrom fakepkg import middle\n\n\ndef f(x):\n    """Doc."""\n    return x + 1  # add\n'
FILES = {
    "__init__": "",
    "top": TOP,
    "middle": "from fakepkg.bottom import g\nLIMIT = 3\n",
    "bottom": "def g():\n    return 1\n",
    "apart": "Z = 1\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package; the returned function rewrites one of its modules and hashes `top` again."""
    folder = tmp_path / "fakepkg"
    folder.mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(source, "PACKAGE", "fakepkg")

    def rehash(name="top", old="", new=""):
        assert old in FILES[name]
        for other, text in FILES.items():
            changed = text.replace(old, new, 1) if other == name and old else text
            (folder / f"{other}.py").write_text(changed, encoding="utf-8")
        source._module.cache_clear()
        importlib.invalidate_caches()
        return source_hash("fakepkg.top")

    yield rehash
    source._module.cache_clear()
    for name in [m for m in sys.modules if m.partition(".")[0] == "fakepkg"]:
        del sys.modules[name]


def test_the_hash_is_a_function_of_the_files(package):
    assert package() == package()
    assert len(package()) == 64


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("top", "x + 1", "x + 2"),
        ("middle", "LIMIT = 3", "LIMIT = 4"),
        ("bottom", "return 1", "return 2"),
        ("top", "import math\n", ""),
    ],
)
def test_it_changes_with_code_here_and_in_whatever_is_imported(package, name, old, new):
    assert package(name, old, new) != package()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("top", "# add", "# add one"),
        ("top", '    """Doc."""', '    """Another."""'),
        ("top", '"""Doc."""\nimport', "import"),
        ("top", "\n\n\ndef", "\n\ndef"),
        ("bottom", "def g", "# a word\ndef g"),
        ("apart", "Z = 1", "Z = 2"),
    ],
)
def test_it_does_not_change_with_comments_docstrings_layout_or_other_modules(package, name, old, new):
    assert package(name, old, new) == package()


def test_strings_that_are_no_docstrings_count(package):
    assert package("bottom", "return 1", "return 'a'") != package("bottom", "return 1", "return 'b'")


def test_the_order_of_the_names_does_not_matter():
    first, second = "mixtheory.pairing", "mixtheory.mixing"
    assert (
        source_hash(first, second) == source_hash(second, first) == source_hash(first)
    )  # pairing imports mixing
    assert source_hash(first) != source_hash(second)


def test_a_module_that_does_not_exist_is_an_error():
    with pytest.raises(ModuleNotFoundError):
        source_hash("mixtheory.nowhere")
