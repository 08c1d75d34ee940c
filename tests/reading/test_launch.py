"""Links to Binder and Colab: right where the repository is known, absent where not; and what they lead to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mixtheory import __version__
from mixtheory.domain import DomainError
from mixtheory.reading import launch
from tests.reading.conftest import Book

ROOT = Path(__file__).parents[2]
NOTEBOOK = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n# Title\n\n```{code-cell}\n1\n```\n"


def links(page: str) -> list[str]:
    return re.findall(r'href="(https://[^"]+)"', "".join(re.findall(r'<p class="mt-launch">.*?</p>', page)))


def test_without_a_repository_nothing_is_offered(small: Book):
    small.write("book/covariance", NOTEBOOK)
    assert small.build(suppress_warnings=["myst-nb.lexer"]) == ""
    assert "mt-launch" not in small.page("book/covariance")


@pytest.mark.parametrize("environment", [
    {"MIXTHEORY_REPOSITORY": "https://github.com/some-org/some.repo.git"},
    {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "some-org/some.repo"}])
def test_links_lead_to_the_tags_of_the_version(small: Book, monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    small.write("book/covariance", NOTEBOOK)
    small.write("book/ledger", NOTEBOOK)
    small.write("book/words", "# Words\n\nNo notebook.\n")
    assert small.build(suppress_warnings=["myst-nb.lexer"]) == ""
    binder = f"https://mybinder.org/v2/gh/some-org/some.repo/v{__version__}?urlpath=lab/tree/book"
    colab = f"https://colab.research.google.com/github/some-org/some.repo/blob/notebooks-v{__version__}"
    assert links(small.page("book/covariance")) == [f"{binder}/covariance.md", f"{colab}/covariance.ipynb"]
    assert links(small.page("book/ledger")) == [f"{binder}/ledger.md"]               # it has no exercises
    assert "mt-launch" not in small.page("book/words")


def test_the_configuration_comes_before_github(monkeypatch):
    monkeypatch.delenv("MIXTHEORY_REPOSITORY", raising=False)
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "fork/book")
    assert launch.repository("https://github.com/home/book/") == "https://github.com/home/book"
    assert launch.repository() == "https://github.com/fork/book"


def test_what_is_not_on_github_gets_no_links(small: Book, monkeypatch):
    monkeypatch.setenv("MIXTHEORY_REPOSITORY", "https://git.example.org/group/some.repo.git/")
    assert launch.repository() == "https://git.example.org/group/some.repo"
    small.write("book/covariance", NOTEBOOK)
    assert small.build(suppress_warnings=["myst-nb.lexer"]) == ""
    assert "mt-launch" not in small.page("book/covariance")


@pytest.mark.parametrize("address", ["github.com/a/b", "http://example.org/a/b", "https://github.com/a",
                                     "https://x.org/a b/c"])
def test_a_wrong_repository_is_named(monkeypatch, address):
    monkeypatch.setenv("MIXTHEORY_REPOSITORY", address)
    with pytest.raises(DomainError, match=f"MIXTHEORY_REPOSITORY = '{address}'"):
        launch.repository()


def test_binder_installs_this_checkout_by_the_pins():
    """pip reads constraints beside the file that names them, and an editable path beside where it is called."""
    text = (ROOT / ".binder" / "requirements.txt").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert (ROOT / ".binder" / lines[0].removeprefix("-c ")).resolve() == ROOT / "constraints.txt"
    assert lines[1] == "-e .[book]"
    pins = {canonicalize_name(Requirement(line).name) for line in (ROOT / "constraints.txt").read_text().splitlines()
            if line and not line.startswith("#")}
    assert {canonicalize_name(Requirement(line).name) for line in lines[2:]} <= pins
    assert (ROOT / ".binder" / "runtime.txt").read_text().strip() == "python-3.11"
    assert os.access(ROOT / ".binder" / "postBuild", os.X_OK)


def test_publishing_is_for_tags_and_brings_the_notebooks():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "publish.yml").read_text())
    assert workflow[True]["push"] == {"tags": ["v*"]}
    steps = workflow["jobs"]["build"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    assert runs == ["make book", "make notebooks"]
    assert all("MIXTHEORY_SITE_URL" in step["env"] for step in steps if "run" in step)
    assert workflow["permissions"]["contents"] == "write"


@pytest.mark.parametrize("there", [True, False])
def test_make_notebooks_pushes_a_tag_with_nothing_else(tmp_path, there):
    site, remote, work = tmp_path / "site", tmp_path / "remote.git", tmp_path / "work"
    (site / "book" / "exercises").mkdir(parents=True)
    if there:
        (site / "book" / "exercises" / "covariance.ipynb").write_text("{}")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q", "--bare", str(remote)], check=True)
    subprocess.run([*git, "init", "-q", str(work)], check=True)
    shutil.copy(ROOT / "Makefile", work)
    (work / "_build").mkdir()
    subprocess.run([*git, "remote", "add", "origin", str(remote)], cwd=work, check=True)
    command = ["make", "-o", "book", "-o", ".venv/.installed", "notebooks", f"SITE={site}",
               f"BIN={Path(sys.executable).parent}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, env=environment)
    assert (done.returncode == 0) == there, done.stderr
    shown = subprocess.run([*git, "-C", str(remote), "ls-tree", "-r", "--name-only", f"notebooks-v{__version__}"],
                           capture_output=True, text=True)
    assert shown.stdout.split() == (["covariance.ipynb"] if there else [])
