"""The widget of a notebook draws and takes marks: its page in Chromium, with the Python side but without a notebook."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("anywidget")

NUCLEI = [(40, 30), (120, 30), (200, 90)]  # (x, y) of drawn nuclei

# Stands in for the notebook: the model of a widget, whose messages and state go to Python by functions of the page.
PAGE = """
const listeners = {};
const state = await python_state();
const model = {
  get: (name) => state[name], set: (name, value) => { state[name] = value; },
  save_changes: () => python_features(state.features),
  on: (name, call) => { listeners[name] = call; },
  send: async ({ number, path }) => {
    const bytes = Uint8Array.from(atob(await python_tile(path)), (c) => c.charCodeAt(0));
    listeners["msg:custom"]({ number }, [new DataView(bytes.buffer)]);
  },
};
const { default: widget } = await import("./widget.js");
widget.render({ model, el: document.body });
globalThis.ready = true;
"""


def test_the_widget_draws_the_image_and_the_net_and_takes_marks(chromium, tissue):
    import hsn.app

    viewer = hsn.app.Viewer(tissue / "one.png", "nuclei-cc0", mpp=0.5)
    page = chromium.new_page(viewport={"width": 900, "height": 600})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    html = f"<!doctype html><style>{viewer._css}</style><body></body><script type=module>{PAGE}</script>"
    kinds = {"": "text/html", "widget.js": "text/javascript"}
    texts = {"": html, "widget.js": str(viewer._esm)}

    def answer(route):
        name = route.request.url.rpartition("/")[2]
        if name in texts:
            route.fulfill(body=texts[name], content_type=kinds[name])
        else:
            route.fulfill(status=204)

    page.route("http://notebook.test/**", answer)
    page.expose_function(
        "python_state", lambda: {n: getattr(viewer, n) for n in ("image", "classes", "net", "features")}
    )
    page.expose_function("python_tile", lambda path: base64.b64encode(viewer.tile(path)).decode())
    page.expose_function("python_features", lambda features: setattr(viewer, "features", features))
    page.goto("http://notebook.test/")
    page.wait_for_function("globalThis.ready")
    page.wait_for_timeout(1500)
    box = page.locator(".hsn-map").bounding_box()
    scale = min((box["width"] - 20) / 400, (box["height"] - 20) / 300)

    def at(x, y):
        return (
            box["x"] + box["width"] / 2 + (x - 200) * scale,
            box["y"] + box["height"] / 2 + (y - 150) * scale,
        )

    shown = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    col, row = map(round, at(240, 120))  # between nuclei
    assert np.abs(shown[row, col] - (232, 190, 214)).max() < 30
    for place in NUCLEI:
        page.mouse.click(*at(*place))
    page.focus(".hsn-map")
    for key in ("2", "b", "Enter", "z", "1", "c"):
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    assert errors == []
    marks = [feature["geometry"]["coordinates"] for feature in viewer.features]
    np.testing.assert_allclose(marks, NUCLEI, atol=1)
    assert page.inner_text("[role=status]") == "3 marks"
    page.close()
