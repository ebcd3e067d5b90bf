"""A server of the app in a process of its own, and a page of it in Chromium."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from find_chromium import find_chromium
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "app"))  # for app_fakes


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    """A running Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = find_chromium()
    if path is None:
        pytest.skip("Chromium is not installed: apt-get install chromium fonts-dejavu-core")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Server:
    """`hsn app` in a process of its own."""

    def __init__(self, *arguments):
        self._arguments = [*map(str, arguments), "--no-browser"]
        self.start()

    def start(self):
        """Start the server, and wait until it answers."""
        command = [sys.executable, "-m", "hsn", "app", *self._arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"HSN_TRACEBACK": ""}
        )
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), self.address
        self.port = int(self.address.split(":")[2].partition("/")[0])

    def kill(self, sign=signal.SIGKILL):
        """End the server, by default at once."""
        self.process.send_signal(sign)
        self.process.wait(20)
        self.process.stdout.close()


@pytest.fixture
def serve():
    """Function that starts a server; all are ended after the test."""
    servers = []

    def start(*arguments):
        servers.append(Server(*arguments))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.kill()


class Page:
    """A page of the app: clicks at places of the image, and what went wrong. `nets`: the server runs nets for it."""

    def __init__(self, browser, server, *, scale=1, size=(1280, 800), ready=True, nets=False):
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, device_scale_factor=scale
        )
        if not nets:  # to load one takes ten seconds of a processor
            self.context.route("**/api/view", lambda route: route.fulfill(json={"missing": 0}))
        self.page = self.context.new_page()
        self.errors, self.foreign = [], []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda r: None if self._own(r.url, server) else self.foreign.append(r.url))
        self.page.goto(server.address)
        if ready:
            self.ready()

    @staticmethod
    def _own(url, server):
        return url.startswith((f"http://127.0.0.1:{server.port}/", "data:", "blob:"))

    def open(self, server):
        """Open the address of a server, as a user does."""
        self.page.goto(server.address)
        self.ready()

    def ready(self):
        """Wait until an image is drawn."""
        self.wait("globalThis.hsn?.image && globalThis.hsn.viewer.view")
        self.settle()

    def wait(self, condition, *, seconds=40):
        """Wait until an expression is true; Playwright's own way is not allowed by the page's security policy."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(f"!!({condition})"):
            assert time.monotonic() < end, f"after {seconds} s: not {condition}"
            self.page.wait_for_timeout(50)

    def settle(self):
        """Wait until the map has drawn all tiles."""
        self.page.evaluate(
            "() => new Promise((done) => { const map = hsn.viewer.map;"
            " const timer = setTimeout(done, 5000); map.once('rendercomplete', () => { clearTimeout(timer); done(); });"
            " map.render(); })"
        )

    def at(self, x, y):
        """Return the place on the page of a place in the image."""
        return self.page.evaluate(
            "([x, y]) => { const [a, b] = hsn.viewer.map.getPixelFromCoordinate([x, -y]);"
            " const box = document.getElementById('map').getBoundingClientRect();"
            " return [a + box.left, b + box.top]; }",
            [x, y],
        )

    def click(self, x, y):
        """Click at a place in the image."""
        self.page.mouse.click(*self.at(x, y))

    def drag(self, *places):
        """Drag through places in the image."""
        self.page.mouse.move(*self.at(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(*place), steps=4)
        self.page.mouse.up()

    def press(self, *keys):
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def saved(self):
        """Wait until all edits are on the disk."""
        self.wait("hsn.sender.waiting.length === 0 && !hsn.sender.busy")

    def features(self):
        """Return the annotations that the page shows."""
        return self.page.evaluate("[...hsn.editor.features.values()]")

    def go(self, x, y, resolution):
        """Show a place at a resolution, in pixels of the image per pixel of the page."""
        self.page.evaluate(
            "([x, y, r]) => { hsn.viewer.view.setCenter([x, -y]); hsn.viewer.view.setResolution(r); }",
            [x, y, resolution],
        )
        self.settle()

    def pixels(self):
        """Return a screenshot as an array."""
        import io

        return np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))


@pytest.fixture
def open_page(chromium):
    """Function that opens a page of a server."""
    pages = []

    def start(server, **options):
        pages.append(Page(chromium, server, **options))
        return pages[-1]

    yield start
    for page in pages:
        page.context.close()


@pytest.fixture
def tissue(tmp_path):
    """Folder with two images of drawn nuclei, 400 x 300 px: dark ellipses on pink, at known places."""
    from skimage.draw import disk

    folder = tmp_path / "tissue"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for name in ("one", "two"):
        image = np.full((300, 400, 3), (232, 190, 214), np.uint8)
        for row in range(30, 300, 60):
            for col in range(40, 400, 80):
                image[disk((row, col), 10, shape=(300, 400))] = (92, 62, 140)
        noisy = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{name}.png")
    return folder
