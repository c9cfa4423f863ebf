"""Links and headings between the pages of the project."""

import re
import subprocess

import pytest
from conftest import ROOT

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
CODE = re.compile(r"`[^`\n]+`")  # which SMILES are that look like links


def list_pages():
    """The Markdown files of the checkout that git knows or would take; none without git."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return sorted(each for each in done.stdout.split() if (ROOT / each).exists())


def list_anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?) *$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", list_pages())
def test_links_lead_to_files_and_headings(page):
    text, broken = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8")), []
    for link in LINK.findall(CODE.sub("", text)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in list_anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    assert broken == []
