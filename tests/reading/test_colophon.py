"""Version, dates and citations."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from pybtex.database import parse_string
from sphinx.errors import ExtensionError

import mixtheory
from mixtheory.domain import DomainError
from mixtheory.reading import colophon
from tests.reading.conftest import Book

ROOT = Path(__file__).parents[2]
DAY = datetime(2026, 11, 7, tzinfo=UTC)
OF = colophon.Edition("9.8.7", DAY)


def test_the_day_of_the_build_is_that_of_source_date_epoch(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(DAY.timestamp())))
    made = colophon.edition(tmp_path)
    assert made == (mixtheory.__version__, DAY, None, None)
    assert str(made) == f"Version {mixtheory.__version__}, built on 7 November 2026"


@pytest.mark.parametrize("epoch", ["yesterday", "1e9", "9" * 30])
def test_a_wrong_epoch_is_named(tmp_path, monkeypatch, epoch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(DomainError, match=f"SOURCE_DATE_EPOCH = '{epoch}'"):
        colophon.edition(tmp_path)


def test_the_commit_is_asked_of_git_and_not_needed(tmp_path, monkeypatch):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-07T12:00:00+0000")
    subprocess.run([*git, "init", "-q"], check=True)
    assert colophon.edition(tmp_path).commit is None                    # nothing is committed yet
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    made = colophon.edition(tmp_path)
    assert made.committed == datetime(2026, 11, 7, 12, tzinfo=UTC)
    assert made.day == made.committed
    assert f"commit {made.commit} of 7 November 2026" in str(made)
    monkeypatch.setattr(colophon.shutil, "which", lambda name: None)
    assert colophon.edition(tmp_path).commit is None


def test_the_entry_is_that_of_citation_cff():
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    entry = parse_string(colophon.bibtex(ROOT, OF, address="https://example.org/x"), "bibtex").entries["mixtheory"]
    assert str(entry.persons["author"][0]).strip("{}") == cff["authors"][0]["name"]
    assert entry.fields["title"].replace("{", "").replace("}", "") == cff["title"]
    assert cff["version"] in entry.fields["note"]
    assert entry.fields["year"] == "2026"
    assert entry.fields["howpublished"] == r"\url{https://example.org/x}"


def test_people_and_groups_are_authors(small: Book):
    entry = parse_string(colophon.bibtex(small.folder, OF), "bibtex").entries["mixtheory"]
    assert [str(person) for person in entry.persons["author"]] == ["Doe, Jane", "{The crowd}"]
    assert colophon.reference(small.folder, OF).startswith("Jane Doe and The crowd (2026). A book about Mixup")


def test_a_claim_is_cited_with_id_and_version():
    entries = parse_string(colophon.bibtex(ROOT, OF, "covariance.batch_mean"), "bibtex").entries
    assert r"covariance.batch\_mean" in entries["mixtheory:covariance.batch_mean"].fields["note"]
    assert "Claim covariance.batch_mean (One lambda keeps" in colophon.reference(ROOT, OF, "covariance.batch_mean")
    with pytest.raises(DomainError, match="claim = 'covariance.nothing'"):
        colophon.bibtex(ROOT, OF, "covariance.nothing")


def test_pages_say_how_to_cite_and_which_version_they_are(small: Book, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(DAY.timestamp())))
    small.write("book/cite", "# Cite\n\n```{citation}\n```\n\n```{citation}\n:claim: covariance.population\n```\n")
    assert small.build() == ""
    page = small.page("book/cite")
    assert "Jane Doe and The crowd (2026). A book about Mixup, version 9.8.7." in page
    assert "mixtheory:covariance.population" in page
    line = f'<p class="mt-colophon">Version {mixtheory.__version__}, built on 7 November 2026.</p>'
    assert line in page
    assert line in small.page("index")


def test_a_citation_of_an_unknown_claim_is_a_warning(small: Book):
    small.write("book/cite", "# Cite\n\n```{citation}\n:claim: covariance.nothing\n```\n")
    assert "no such claim is registered" in small.build()


def test_descriptions_addresses_and_picture(small: Book, monkeypatch):
    small.write("book/a", "# A\n\nTake a weight $\\lambda$ of two. Then $\\tilde x = 1$ holds. More.\n")
    assert small.build() == ""
    page = small.page("book/a")
    assert re.findall('<meta name="description".*?>', page) == [
        '<meta name="description" content="Take a weight λ of two.">']
    assert '<meta property="og:description" content="Take a weight λ of two." />' in page
    assert "og:url" not in page
    assert "og:image" not in page
    monkeypatch.setenv("MIXTHEORY_SITE_URL", "https://example.org/book")
    assert small.build() == ""
    page = small.page("book/a")
    assert '<meta property="og:url" content="https://example.org/book/book/a.html" />' in page
    assert '<meta property="og:image" content="https://example.org/book/_static/social.png" />' in page


def test_a_wrong_address_of_the_site_is_named(small: Book, monkeypatch):
    monkeypatch.setenv("MIXTHEORY_SITE_URL", "example.org")
    with pytest.raises(ExtensionError, match="MIXTHEORY_SITE_URL = 'example.org'"):
        small.build()
