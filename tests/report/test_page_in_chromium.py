"""The pages in a real browser: what a reader meets, with and without hands on it."""

import os
import re
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from brainleaks.files import atomic
from brainleaks.report import write_comparison

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE = {"width": 390, "height": 844}

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="needs Chromium, as chromium on the path"
)


@pytest.fixture(scope="module")
def chromium():
    assert CHROMIUM, "Chromium is missing; CI must not pass without it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Opens a file; after the test, nothing may have been fetched and nothing have gone wrong."""
    contexts, faults = [], []

    def note(request):
        if not request.url.startswith(("file:", "data:")):
            faults.append(f"request to {request.url}")

    def go(path, **options):
        contexts.append(chromium.new_context(**{"reduced_motion": "reduce", **options}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("request", note)
        page.goto(path.resolve().as_uri())
        return page

    yield go
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="module")
def compared(run, narrow_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("compared") / "compare.html"
    write_comparison([run, narrow_run], path)
    return path


@pytest.fixture(scope="module")
def compared_events(events_run, renamed, tmp_path_factory):
    base = tmp_path_factory.mktemp("compared-events")
    path = base / "compare.html"
    write_comparison([events_run, renamed(events_run, base / "other", "other")], path)
    return path


def names_of(page, table):
    return page.locator(f"{table} tbody th").evaluate_all("cells => cells.map(c => c.innerText)")


def values_of(page, table, column):
    cells = page.locator(f"{table} tbody td:nth-child({column})")
    return cells.evaluate_all("cells => cells.map(c => Number(c.dataset.value))")


def contrast(page, selector):
    """WCAG 2.2's ratio of the first such element's text to what is behind it."""
    return page.locator(selector).first.evaluate("""element => {
      const parse = text => text.match(/[\\d.]+/g).map(Number);
      const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      let behind = element;
      while (parse(getComputedStyle(behind).backgroundColor)[3] === 0) {
        behind = behind.parentElement;
      }
      const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor]
        .map(text => light(parse(text))).sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05);
    }""")


def test_the_verdict_and_all_figures_are_there(visit, run):
    page = visit(run / "report.html")
    results = atomic.read_json(run / "results.json")
    assert page.locator("h1").inner_text() == results["verdict"]["sentence"].split(": ")[0]
    assert page.locator(".scale > li").count() == 4
    assert page.locator("h1").bounding_box()["y"] < 120
    loaded = page.locator("img").evaluate_all(
        "all => all.map(i => i.decode().then(() => i.naturalWidth))"
    )
    assert len(loaded) == 2 * 3 * 10
    for section in ("confusion", "likeness", "held-out", "curves"):
        charts = page.locator(f"section:has(#{section}) svg.chart")
        assert charts.count() >= 2
        for i in range(charts.count()):
            box = charts.nth(i).bounding_box()
            assert box["width"] > 200
            assert box["height"] > 100
            assert charts.nth(i).locator("text").count() > 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_is_readable_in_both_schemes(visit, run, scheme):
    page = visit(run / "report.html", color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", ground)[:3])) / 3
    assert brightness > 230 if scheme == "light" else brightness < 40
    for selector in (
        "h1",
        ".verdict p",
        ".soft",
        "figcaption",
        "nav a",
        "thead button",
        "td small",
        "tr.attack b",
        "summary",
        "pre",
        "footer p",
    ):
        assert contrast(page, selector) >= 4.5, selector
    ink = page.evaluate("getComputedStyle(document.body).color")
    label = page.locator("svg.chart text").first.evaluate("text => getComputedStyle(text).fill")
    assert label == ink


@pytest.mark.parametrize("name", ["run", "protocol_run", "events_run"])
def test_a_phone_scrolls_only_downwards(visit, request, name):
    page = visit(request.getfixturevalue(name) / "report.html", viewport=PHONE)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_a_table_sorts_by_each_column_both_ways(visit, run):
    page = visit(run / "report.html")
    table = "#attack-table"
    before = values_of(page, table, 3)
    head = page.locator(f"{table} thead th").nth(2)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert values_of(page, table, 3) == sorted(before, reverse=True)
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert values_of(page, table, 3) == sorted(before)
    first = page.locator(f"{table} thead th").nth(0)
    first.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert names_of(page, table) == sorted(names_of(page, table))


def test_a_picture_enlarges_by_mouse_and_keyboard(visit, run):
    page = visit(run / "report.html")
    picture = page.get_by_role("button", name="Enlarge: Class 3, nearest training sample").first
    dialog = page.get_by_role("dialog")
    small = picture.bounding_box()["width"]
    picture.click()
    assert dialog.locator("img").bounding_box()["width"] > 2 * small
    assert dialog.get_by_text("Class 3, nearest training sample").is_visible()
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert picture.evaluate("button => button === document.activeElement")
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()
    page.get_by_role("button", name=re.compile("Enlarge: Confusion matrix")).first.click()
    assert dialog.locator("svg image").bounding_box()["width"] > 300


def test_the_keyboard_reaches_the_content_first(visit, run):
    page = visit(run / "report.html")
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("link => link === document.activeElement")
    assert skip.bounding_box()["x"] > 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def drawn(page):
    """The canvas of the first class's training sample, as a picture."""
    return page.locator(".player canvas").first.evaluate("canvas => canvas.toDataURL()")


def test_a_recording_scrubs(visit, events_run):
    page = visit(events_run / "report.html")
    slider = page.get_by_role("slider", name="Frame")
    slider.scroll_into_view_if_needed()
    page.wait_for_timeout(200)  # for pictures to be decoded
    assert page.locator(".player canvas").count() == 3 * 10
    assert page.get_by_role("button", name="Play").is_visible()  # motion was not wanted
    first = drawn(page)
    slider.fill("7")
    assert "Frame 8 of 20, at 105 ms" in page.locator(".controls output").inner_text()
    assert drawn(page) != first
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext").startswith("Frame 9 of 20")
    slider.fill("0")
    assert drawn(page) == first


def test_a_frame_is_what_fired_in_it(visit, events_run):
    stored = atomic.read_tensors(events_run / "reconstructions" / "brainleaks-v1.safetensors")
    fired = stored["reconstruction"][2, 5].reshape(34, 34).bool().tolist()
    page = visit(events_run / "report.html")
    page.wait_for_timeout(200)  # for pictures to be decoded
    page.get_by_role("slider", name="Frame").fill("5")
    canvas = page.locator(".player .card").nth(2).locator("canvas").nth(1)
    shown = canvas.evaluate(
        """c => Array.from(c.getContext("2d").getImageData(0, 0, c.width, c.height).data)
           .filter((v, i) => i % 4 === 0)"""
    )
    assert len(shown) == 34 * 34
    assert [v > 127 for v in shown] == [pixel for row in fired for pixel in row]


def test_a_recording_plays_and_pauses(visit, events_run):
    page = visit(events_run / "report.html", reduced_motion="no-preference")
    slider = page.get_by_role("slider", name="Frame")
    expect(slider).not_to_have_value(re.compile("^[0-2]$"))
    page.get_by_role("button", name="Pause").click()
    stopped = slider.input_value()
    page.wait_for_timeout(300)
    assert slider.input_value() == stopped
    page.get_by_role("button", name="Play").press("Space")
    expect(slider).not_to_have_value(stopped)


def test_reads_without_scripts_and_prints(visit, events_run):
    page = visit(events_run / "report.html", java_script_enabled=False)
    assert page.locator("h1").is_visible()
    assert not page.locator(".controls").is_visible()
    assert page.locator(".timeline img").first.is_visible()
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator("nav").is_visible()


def test_a_comparison_shows_both_runs(visit, compared):
    page = visit(compared, viewport=PHONE)
    assert page.locator("h1").inner_text() == "demo (demo) against demo (narrow)"
    assert page.locator(".compared .verdict").count() == 2
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert page.locator("#attack-table tbody tr.attack").count() == 2 * 2
    assert page.locator("#attack-table tbody tr.negative-control").count() == 2 * 4
    assert page.locator("#attack-table tbody tr.positive-control").count() == 2
    page.locator("#attack-table thead button").nth(3).click()
    values = values_of(page, "#attack-table", 4)
    assert len(values) == 14
    assert values == sorted(values, reverse=True)


def test_a_comparison_has_every_picture_and_figure_of_its_runs(visit, compared):
    """The narrow run has no controls: a training sample stands beside what was made."""
    page = visit(compared)
    for summary in page.locator("summary").all():
        summary.click()
    loaded = page.locator("img").evaluate_all(
        "all => Promise.all(all.map(i => i.decode().then(() => i.naturalWidth)))"
    )
    assert len(loaded) == 2 * 10 * (3 + 2)
    assert min(loaded) > 0
    expected = {"confusion": 2 * 2, "likeness": 4 + 2 * 6, "held-out": 2 * 2, "curves": 2 * 4}
    for section, count in expected.items():
        charts = page.locator(f"section:has(#{section}) svg.chart")
        assert charts.count() == count
        for i in range(count):
            box = charts.nth(i).bounding_box()
            assert box["width"] > 200
            assert box["height"] > 60  # one line, where there are no controls
    for attack in ("brainleaks-v1", "brainleaks-v2"):
        for run in ("demo (demo)", "demo (narrow)"):
            assert page.get_by_role("heading", name=f"{attack} on {run}", exact=True).count() == 1
            name = f"Enlarge: Class 7, reconstruction, by {attack} on {run}"
            assert page.get_by_role("button", name=name, exact=True).count() == 1
    name = "Enlarge: Class 7, nearest training sample, for brainleaks-v2 on demo (demo)"
    page.get_by_role("button", name=name, exact=True).click()
    assert page.get_by_role("dialog").locator("img").bounding_box()["width"] > 300


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_comparison_is_readable_in_both_schemes(visit, compared, scheme):
    page = visit(compared, color_scheme=scheme)
    for selector in (
        "h1",
        ".verdict span",
        ".by",
        "figcaption",
        "tr.attack b",
        "td small",
        "summary",
    ):
        assert contrast(page, selector) >= 4.5, selector


def test_a_comparison_plays_what_both_made(visit, compared_events, events_run):
    page = visit(compared_events)
    page.wait_for_timeout(200)  # for pictures to be decoded
    assert page.locator(".player").count() == 1
    assert page.locator(".player canvas").count() == (1 + 2 * 2) * 10
    slider = page.get_by_role("slider", name="Frame")
    slider.fill("5")
    card = page.locator(".player .card").nth(2)
    labels = card.locator("figcaption").all_inner_texts()
    assert labels[2::2] == ["brainleaks-v2 on digits-events-snn", "brainleaks-v2 on other"]
    first, other = (
        card.locator("canvas").nth(i).evaluate("canvas => canvas.toDataURL()") for i in (1, 3)
    )
    assert first == other
    slider.fill("9")
    assert card.locator("canvas").nth(3).evaluate("canvas => canvas.toDataURL()") != other
    page.get_by_role("button", name="Play").click()
    expect(slider).not_to_have_value("9")


def test_a_comparison_of_recordings_fits_a_phone(visit, compared_events):
    page = visit(compared_events, viewport=PHONE)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
