"""The experiment `scratch`, for tests of campaigns: in this process, or for others in a copy of the package."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from mixtheory import paths
from mixtheory.training import experiments

SCRATCH = Path(__file__).with_name("scratch.py")


@pytest.fixture
def scratch(monkeypatch, tmp_path):
    """The module, as an experiment of this process; the build folder is empty."""
    (tmp_path / "experiments").mkdir()
    shutil.copy(SCRATCH, tmp_path / "experiments")
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path / "experiments")])
    monkeypatch.setattr(experiments, "EXPERIMENTS", (*experiments.EXPERIMENTS, "scratch"))
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.delitem(sys.modules, "mixtheory.training.experiments.scratch", raising=False)
    yield experiments._module("scratch")
    sys.modules.pop("mixtheory.training.experiments.scratch", None)
    vars(experiments).pop("scratch", None)


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The environment of processes in which `scratch` is an experiment; each test sets MIXTHEORY_BUILD itself."""
    root = tmp_path_factory.mktemp("package")
    shutil.copytree(Path(experiments.__file__).parents[2], root / "mixtheory",
                    ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SCRATCH, root / "mixtheory" / "training" / "experiments")
    return {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
