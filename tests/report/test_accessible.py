"""axe finds nothing wrong in the pages; ``BRAINLEAKS_AXE`` names its ``axe.min.js``."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from brainleaks.report import write_comparison

AXE = os.environ.get("BRAINLEAKS_AXE")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(
    AXE is None or CHROMIUM is None, reason="needs Chromium, and axe-core's axe.min.js"
)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def violations(chromium):
    """What axe finds in a file, by rule and element, in light and dark, on a screen and a phone."""

    def check(path):
        found = []
        for scheme in ("light", "dark"):
            for width in (1200, 400):
                view = {"width": width, "height": 900}
                context = chromium.new_context(viewport=view, color_scheme=scheme, bypass_csp=True)
                page = context.new_page()
                page.goto(path.resolve().as_uri())
                page.evaluate(Path(AXE).read_text("utf-8"))
                for fault in page.evaluate("axe.run()")["violations"]:
                    found += [(scheme, width, fault["id"], n["target"]) for n in fault["nodes"]]
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    found.append((scheme, width, "wider than the window", path.name))
                context.close()
        return found

    return check


@pytest.mark.parametrize("name", ["run", "events_run", "protocol_run"])
def test_reports(violations, request, name):
    assert violations(request.getfixturevalue(name) / "report.html") == []


def test_comparisons(violations, run, narrow_run, tmp_path):
    write_comparison([run, narrow_run], tmp_path / "compare.html")
    assert violations(tmp_path / "compare.html") == []
