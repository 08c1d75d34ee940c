"""The files around the code agree: dependencies, pins, make targets, workflows, licences, versions."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import warnings
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import mixtheory
from mixtheory import paths

HERE = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
WORKFLOWS = sorted((HERE / ".github" / "workflows").glob("*.yml"))


def requirements(lines: list[str]) -> set[Requirement]:
    """Parse requirements, leaving out the project's own extras and its own folder."""
    parsed = {Requirement(line) for line in lines if not line.startswith("-")}
    return {r for r in parsed if r.name != PROJECT["name"]}


def pip_section() -> list[str]:
    """The pip part of environment.yml."""
    entries = yaml.safe_load((HERE / "environment.yml").read_text())["dependencies"]
    return next(entry["pip"] for entry in entries if isinstance(entry, dict))


def pins() -> dict[str, str]:
    """The version of each package in constraints.txt; every line is one exact pin."""
    lines = (HERE / "constraints.txt").read_text().splitlines()
    parsed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(len(p.specifier) == 1 and str(p.specifier).startswith("==") for p in parsed)
    exact = {canonicalize_name(p.name): next(iter(p.specifier)).version for p in parsed}
    assert len(exact) == len(parsed), "a package is pinned twice"
    return exact


def tracked() -> list[Path]:
    """The files that git knows, those about to be committed included."""
    if not (HERE / ".git").exists():
        pytest.skip("this copy of the project is not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=HERE, check=True, capture_output=True).stdout
    return [HERE / name for name in listing.decode().split("\0") if name and (HERE / name).is_file()]


def make_targets() -> set[str]:
    """The targets that `make help` lists, asked of make itself."""
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"^ +make (\w+)", shown, re.MULTILINE))


def test_core_is_six_packages():
    core = {"jupyter-book", "matplotlib", "numpy", "scipy", "sympy", "torch"}
    assert {r.name for r in requirements(PROJECT["dependencies"])} == core


def test_environment_equals_core_and_book():
    assert requirements(pip_section()) == requirements(PROJECT["dependencies"] + EXTRAS["book"])


def test_environment_is_pinned_and_installs_the_package():
    section = pip_section()
    assert section[0] == "-c constraints.txt"
    assert section[-1] == "-e ."


def test_constraints_pin_every_direct_dependency():
    exact = pins()
    for wanted in requirements(PROJECT["dependencies"] + sum(EXTRAS.values(), [])):
        version = exact.get(canonicalize_name(wanted.name))
        assert version is not None, f"{wanted.name} has no pin"
        assert wanted.specifier.contains(version), f"{wanted} excludes its pin {version}"


def test_torch_is_pinned_without_a_device():
    assert "+" not in pins()["torch"]


def test_this_environment_follows_the_pins():
    """An environment that make did not refresh would test other versions than the pinned ones."""
    exact = pins()
    for wanted in requirements(PROJECT["dependencies"] + EXTRAS["book"] + EXTRAS["dev"]):
        installed = metadata.version(wanted.name).split("+")[0]
        pinned = exact[canonicalize_name(wanted.name)]
        assert installed == pinned, f"{wanted.name} is {installed}, not {pinned}: run `make env`"


def test_every_pin_admits_the_oldest_python_that_is_promised():
    oldest = re.search(r">=(3\.\d+)", PROJECT["requires-python"])[1] + ".0"
    refusing = {}
    for name in pins():
        with contextlib.suppress(metadata.PackageNotFoundError):                # not for this platform
            wanted = metadata.metadata(name).get("Requires-Python") or ""
            if not SpecifierSet(wanted).contains(oldest):
                refusing[name] = wanted
    assert not refusing


def test_extensions_of_the_book_are_dependencies():
    """What _config.yml loads is in the core or in `book`, or `jupyter-book build .` fails for conda users."""
    config = yaml.safe_load((HERE / "_config.yml").read_text())
    direct = {canonicalize_name(r.name) for r in requirements(PROJECT["dependencies"] + EXTRAS["book"])}
    for extension in config["sphinx"]["extra_extensions"]:
        top = extension.split(".")[0]
        providers = {canonicalize_name(d) for d in metadata.packages_distributions().get(top, [])}
        if top == "sphinxcontrib":  # a namespace that several distributions share
            providers = {canonicalize_name(extension)}
        assert top in ("mixtheory", "sphinx") or providers & direct, f"{extension}: not in a dependency"


def test_no_tracked_file_names_a_place_outside_the_checkout():
    outside = re.compile("/" + r"work/|(?<![\w-])(?:\.\./)+(?:\w+/)*shared\b|(?<![\w/-])shared/" + r"\w")
    for path in tracked():
        found = outside.search(path.read_bytes().decode("utf-8", errors="ignore"))
        assert not found, f"{path.relative_to(HERE)} names {found.group()!r}"


def test_built_things_are_not_tracked():
    names = [str(path.relative_to(HERE)) for path in tracked()]
    assert not [name for name in names if re.search(r"^_build/|^\.venv/|__pycache__|\.egg-info", name)]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_named_in_documents_exist(document):
    text = (HERE / document).read_text()
    spoken = re.findall(r"`make ([a-z]+)", text) + re.findall(r"^make ([a-z]+)", text, re.MULTILINE)
    assert {"book", "test"} <= set(spoken)
    assert set(spoken) <= make_targets() | {"help"}


def test_readme_python_runs():
    blocks = re.findall(r"^```python\n(.*?)^```", (HERE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("change", ["none", "moved", "python", "pins"])
def test_make_notices_a_stale_environment(tmp_path, change):
    """`make -q` says whether it would make the environment again, here a sham one."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(HERE / name, tmp_path)
    bin_ = tmp_path / ".venv" / "bin"
    bin_.mkdir(parents=True)
    version = "3 1" if change == "python" else "{} {}".format(*sys.version_info)
    (bin_ / "python").write_text(f"#!/bin/sh\necho {version}\n")
    (bin_ / "python").chmod(0o755)
    home = tmp_path / "before" if change == "moved" else tmp_path
    (bin_ / "pip").write_text(f"#!{home}/.venv/bin/python\n")
    (tmp_path / ".venv" / ".installed").touch()
    if change == "pins":
        os.utime(tmp_path / "constraints.txt", (2e9, 2e9))
    command = ["make", "-q", ".venv/.installed", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == (0 if change == "none" else 1), done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_calls_make(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow[True], "no trigger (YAML reads the key `on` as true)"
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    lines = [line.split() for step in steps for line in step.get("run", "").splitlines()]
    assert lines
    assert {line[0] for line in lines} == {"make"}
    assert {line[1] for line in lines} <= make_targets()


def test_the_three_workflows_are_there():
    assert {path.stem for path in WORKFLOWS} >= {"publish", "test", "weekly"}


def test_ci_runs_what_readme_names():
    script = (HERE / ".ci" / "run").read_text()
    assert (HERE / ".ci" / "run").stat().st_mode & 0o100
    assert "make book" in script
    assert script.rstrip().endswith("test"), "pytest's summary must be the last line of the output"


def test_licence_names_both():
    text = (HERE / "LICENSE").read_text()
    assert "SPDX-License-Identifier: " + PROJECT["license"] in text
    assert "Permission is hereby granted, free of charge" in text
    assert "Creative Commons Attribution 4.0 International" in text


def test_versions_and_licences_agree():
    citation = yaml.safe_load((HERE / "CITATION.cff").read_text())
    assert PROJECT["version"] == mixtheory.__version__ == str(citation["version"])
    assert set(citation["license"]) == set(PROJECT["license"].split(" AND "))


def test_pytest_treats_warnings_as_errors():
    with pytest.raises(UserWarning, match="checked"):
        warnings.warn("checked", UserWarning, stacklevel=1)


def test_root_is_this_checkout():
    assert paths.ROOT == HERE
    assert paths.RECORDS == HERE / "book" / "records"


def test_build_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("MIXTHEORY_BUILD", raising=False)
    assert paths.find_build(HERE) == HERE / "_build"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert paths.find_build(None) == tmp_path / "mixtheory"
    monkeypatch.setenv("MIXTHEORY_BUILD", str(tmp_path / "elsewhere"))
    assert paths.find_build(HERE) == tmp_path / "elsewhere"


def test_a_package_without_the_book_has_no_root(tmp_path):
    (tmp_path / "mixtheory").mkdir()
    assert paths.find_root(tmp_path / "mixtheory") is None
    (tmp_path / "_toc.yml").touch()
    assert paths.find_root(tmp_path / "mixtheory") == tmp_path
