from __future__ import annotations

import pytest

from mixtheory import page
from mixtheory.explorables import EXPLORABLES


@pytest.fixture(scope="session")
def shown() -> dict[str, str]:
    """The HTML of every explorable, as a chapter shows it."""
    return {name: page.explorable(name).text for name in EXPLORABLES}
