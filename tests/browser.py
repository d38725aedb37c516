"""A page as Chromium shows it: what its console says, how wide it is, how many canvases it has, and a picture of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --enable-unsafe-swiftshader --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --disable-extensions "
    "--allow-file-access-from-files --hide-scrollbars --enable-logging=stderr --v=0"
).split()
# A window is never narrower than 500 dots, a frame is. The frame's page is asked when it has had time to draw.
FRAME = """<!doctype html><body style="margin:0"><pre id="found" hidden></pre>
<iframe id="page" src="{address}" style="border:0;width:{width}px;height:{height}px"></iframe>
<script>
const frame = document.getElementById("page");
frame.onload = () => setTimeout(() => {{
  const page = frame.contentDocument, root = page.documentElement;
  document.getElementById("found").textContent = JSON.stringify({{
    canvases: page.querySelectorAll("canvas").length,
    scroll_width: root.scrollWidth, width: root.clientWidth, scroll_height: root.scrollHeight,
    loads: frame.contentWindow.performance.getEntriesByType("resource").map(each => each.name),
  }});
}}, 1500);
</script>"""


@dataclass(frozen=True)
class Look:
    """canvases; scroll_width, width, scroll_height : dots; loads : addresses that the page asked for
    errors : lines of the console that tell of an error; picture : .png
    """

    canvases: int
    scroll_width: int
    width: int
    scroll_height: int
    loads: list[str]
    errors: list[str]
    picture: Path

    @property
    def coloured(self) -> int:
        """Dots of the picture that are neither white, grey nor black."""
        from matplotlib.image import imread

        return int((np.ptp(imread(self.picture)[..., :3], axis=2) > 0.3).sum())


def look(page: Path, width: int, height: int, folder: Path) -> Look:
    """Open a page in a frame so wide and high; ``folder`` gets the profile, the frame and the picture."""
    frame = folder / f"frame-{width}.html"
    frame.write_text(FRAME.format(address=page.resolve().as_uri(), width=width, height=height))
    picture = folder / f"{page.stem}-{width}.png"
    profile = folder / f"profile-{width}"
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"--window-size={max(width, 500)},{height}"]
    command += ["--virtual-time-budget=4000", "--dump-dom", f"--screenshot={picture}", frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    found = re.search(r'<pre id="found"[^>]*>(\{.*?\})</pre>', done.stdout)
    assert found, done.stderr[-2000:]
    errors = [
        line for line in done.stderr.splitlines() if "CONSOLE" in line and re.search(r"error|uncaught", line, re.I)
    ]
    return Look(**json.loads(found[1].replace("&amp;", "&")), errors=errors, picture=picture)
