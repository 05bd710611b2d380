"""A picture of a report's top, for the README, in less than 400 kB.

python benchmarks/screenshot.py runs/faces-snn-seed0/report.html docs/images/report.png
"""

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT, SCALE = 1100, 1180, 1.5
MOST_BYTES = 400_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    content = small(taken(arguments.report))
    arguments.picture.write_bytes(content)
    print(f"{arguments.picture}: {len(content):,} bytes")


def taken(report: Path) -> Image.Image:
    """The page's top in the system's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=SCALE
        )
        page.goto(report.resolve().as_uri())
        content = page.screenshot()
        browser.close()
    return Image.open(io.BytesIO(content)).convert("RGB")


def small(picture: Image.Image) -> bytes:
    """A PNG in as many colours as the bytes allow."""
    for colours in (256, 128, 64, 32, 16):
        buffer = io.BytesIO()
        picture.quantize(colours).save(buffer, "PNG", optimize=True)
        if buffer.tell() < MOST_BYTES:
            break
    return buffer.getvalue()


if __name__ == "__main__":
    main()
