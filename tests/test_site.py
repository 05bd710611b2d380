"""The documentation site builds without a warning, names all that is public, and asks no one."""

import pkgutil
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest

import brainleaks
from brainleaks.attacks import ATTACKS, WithinPrior

DOCS = Path(__file__).parent.parent / "docs"
PACKAGES = [module.name for module in pkgutil.iter_modules(brainleaks.__path__) if module.ispkg]
MODULES = ("art", "target")
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a page documents, loads and links to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.entries: set[str] = set()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "dt" and "id" in values:
            self.entries.add(values["id"])
        if address := values.get(LOADED.get(tag)):
            self.loaded.append(address)
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    out = folder / "html"
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*build, "-d", str(folder / "doctrees"), str(DOCS), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {page.path.relative_to(out).as_posix(): page for page in map(Page, out.rglob("*.html"))}


@pytest.fixture(scope="module")
def entries(site):
    return set().union(*(page.entries for page in site.values()))


def test_every_source_is_a_page(site):
    sources = {p.relative_to(DOCS) for p in DOCS.rglob("*.md") if "_build" not in p.parts}
    assert {p.with_suffix(".html").as_posix() for p in sources} <= site.keys()


INVERSIONS = [attack for attack in ATTACKS.values() if attack.kind == "class-reconstruction"]
MEMBERSHIP = [attack for attack in ATTACKS.values() if attack.kind.endswith("membership")]


@pytest.mark.parametrize("attack", MEMBERSHIP, ids=lambda a: a.attack)
def test_every_membership_attack_is_on_their_page(site, attack):
    found = site["attacks/membership.html"].entries
    assert f"{attack.__module__}.{attack.__name__}" in found


@pytest.mark.parametrize("attack", [*INVERSIONS, WithinPrior], ids=lambda a: a.attack)
def test_every_attack_has_a_page_with_its_interface_and_a_picture(site, attack):
    page = site[f"attacks/{attack.attack}.html"]
    assert f"brainleaks.attacks.{attack.__name__}" in page.entries
    assert any(address.endswith(".png") for address in page.loaded)


@pytest.mark.parametrize("name", PACKAGES)
def test_public_names_of_packages(entries, name):
    package = import_module(f"brainleaks.{name}")
    assert {f"brainleaks.{name}.{public}" for public in getattr(package, "__all__", ())} <= entries


@pytest.mark.parametrize("name", MODULES)
def test_public_names_of_modules(entries, name):
    module = import_module(f"brainleaks.{name}")
    own = {n for n, o in vars(module).items() if getattr(o, "__module__", "") == module.__name__}
    public = {f"{module.__name__}.{n}" for n in own if not n.startswith("_")}
    assert public
    assert public <= entries


def test_names_at_the_top(entries):
    last = {entry.rpartition(".")[2] for entry in entries}
    assert set(brainleaks.__all__) - {"__version__"} <= last


def test_nothing_is_asked_of_anyone(site):
    outside = re.compile(r"(https?:)?//")
    for page in site.values():
        assert page.loaded
        assert not [address for address in page.loaded if outside.match(address)], page.path
        text = page.path.read_text(encoding="utf-8")
        assert not re.search(r"<script[^>]*>[^<]*https?://", text), page.path
    folder = site["index.html"].path.parent
    for sheet in folder.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text()), sheet


def test_links_between_pages_lead_somewhere(site):
    for page in site.values():
        for link in (*page.links, *page.loaded):
            address = link.partition("#")[0].partition("?")[0]
            if address and ":" not in address:
                assert (page.path.parent / address).exists(), f"{page.path}: {link}"


def test_formulas_are_drawn_by_the_browser(site):
    text = site["numbers.html"].path.read_text(encoding="utf-8")
    assert text.count('<math display="block">') == (DOCS / "numbers.md").read_text().count("$$") / 2
    assert "MathJax" not in text
    assert "$" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_what_scrolls_is_reached_by_keyboard_and_landmarks_have_names(site):
    for name, page in site.items():
        text = page.path.read_text(encoding="utf-8")
        assert "<pre>" not in text, name
        assert '<div class="table-wrapper' not in text, name
        assert '<dl>\n<dd><em class="sig-param">' not in text, name
        assert not re.search(r'<aside class="[a-z-]+">|role="heading">', text), name


def test_the_reference_of_the_command_line_has_every_option(site):
    text = site["api/cli.html"].path.read_text(encoding="utf-8")
    for option in ("--fail-on", "--seeds", "--older-than", "--target-weights", "--budget"):
        assert option in text, option
    assert 'id="brainleaks-data-fetch"' in text
