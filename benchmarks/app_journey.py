"""Drive the first ten minutes of `hsn app` on a real image, and score each net on held-out truth.

    HSN_DATA=... python benchmarks/app_journey.py

A server runs in a process of its own. The script plays the annotator of one image of CryoNuSeg's validation part, which
no shipped net has seen: 30 clicks on true nuclei and five strokes where there are none; Train; then marks where the new
net is wrong (clicks on missed nuclei, strokes on false ones); Train; export, read by GeoPandas and Shapely. Each net is
scored on the annotated image and on the five other validation images: Dice of the foreground, the share of true nuclei
that hold a found center, and the share of centers that lie in one. Results: `benchmarks/results/app_journey.json`.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
import zipfile
from http.cookiejar import CookieJar
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.measure import label, regionprops

SEED, MPP = 0, 0.25
LEARNED = "Human_Mediastinum_01"
HELD_OUT = (
    "Human_AdrenalGland_02",
    "Human_AdrenalGland_03",
    "Human_Larynx_03",
    "Human_Pleura_02",
    "Human_Testes_01",
)
CLICKS, STROKES = 30, 5
RESULTS = Path(__file__).parent / "results" / "app_journey.json"
HEAD = {
    "title": "The first ten minutes of `hsn app`",
    "summary": "A script plays an annotator of one image, trains twice, and exports. Five other images are held out.",
    "measured": "Python 3.11, two processor cores that other programs used, too; no GPU",
}


class Client:
    """A page without a browser: the same requests."""

    def __init__(self, address):
        self._base = address.partition("?")[0]
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._opener.open(address).read()
        self._session, self._number, self.seq = str(uuid.uuid4()), 0, 0

    def get(self, path):
        """Return the content of a route."""
        return self._opener.open(self._base + path).read()

    def post(self, path, data):
        """Return the JSON answer of a route."""
        request = urllib.request.Request(
            self._base + path, json.dumps(data).encode(), {"Content-Type": "application/json"}
        )
        return json.loads(self._opener.open(request).read())

    def mark(self, image, shapes, origin):
        """Put features: (geometry type, coordinates, class)."""
        edits = []
        for kind, coordinates, name in shapes:
            self._number += 1
            properties = {"classification": {"name": name}, "hsn": {"width_um": 3.0}}
            feature = {"id": str(uuid.uuid4()), "properties": properties}
            feature["geometry"] = {"type": kind, "coordinates": coordinates}
            edits.append({"op": "put", "image": image, "id": feature["id"], "feature": feature, "origin": origin,
                          "number": self._number})  # fmt: skip
        data = {"session": self._session, "page": self._session, "seq": self.seq, "edits": edits}
        self.seq = self.post("api/edits", data)["seq"]

    def train(self, epochs):
        """Train, and wait; return the job and the seconds."""
        started = time.monotonic()
        name = self.post("api/train", {"epochs": epochs})["name"]
        while True:
            job = next(job for job in json.loads(self.get("api/jobs")) if job["name"] == name)
            if job["state"] != "running":
                return job, time.monotonic() - started
            time.sleep(2)


def truth_of(data, name):
    """Return the numbered nuclei of an image."""
    return label(np.asarray(Image.open(data / "mask_binary" / f"{name}.png").convert("L")) > 0)


def points(regions):
    """Return clicks at the middle of regions."""
    return [("Point", [r.centroid[1] + 0.5, r.centroid[0] + 0.5], "Nucleus") for r in regions]


def strokes(where, count, rng):
    """Return short strokes of background in a mask, at least 5 px from its border."""
    rows, cols = np.nonzero(ndimage.distance_transform_edt(where) > 5)
    chosen = rng.permutation(len(rows))[:count]
    return [("LineString", [[float(cols[k]) - 3, float(rows[k])], [float(cols[k]) + 3, float(rows[k])]], "Background")
            for k in chosen]  # fmt: skip


def score(model, data):
    """Return the scores of a net on the annotated image, and on the held-out images together."""
    return {"annotated image": score_on(model, data, [LEARNED]), "held out": score_on(model, data, HELD_OUT)}


def score_on(model, data, names):
    """Return Dice, and the shares of nuclei and of found centers that match, of all images together."""
    import hsn

    same = found = total = held = right = nuclei = 0
    for name in names:
        truth, result = truth_of(data, name), hsn.segment(read(data, name), model, mpp=MPP)
        mine = result.instances > 0
        same += np.count_nonzero(mine & (truth > 0))
        total += np.count_nonzero(mine) + np.count_nonzero(truth > 0)
        hits = [truth[tuple(int(v) for v in r.centroid)] for r in regionprops(result.instances)]
        right, held = right + np.count_nonzero(hits), held + len(set(hits) - {0})
        nuclei, found = nuclei + int(truth.max()), found + len(hits)
    scores = {"dice": 2 * same / total, "recall": held / nuclei, "precision": right / max(found, 1)}
    return {name: round(float(value), 4) for name, value in scores.items()} | {"found": found, "true": nuclei}


def read(data, name):
    """Return an image of CryoNuSeg."""
    return np.asarray(Image.open(data / "images" / f"{name}.png").convert("RGB"))


def correct(client, model, data, rng):
    """Mark what a net does wrong in the image that is annotated."""
    import hsn

    truth = truth_of(data, LEARNED)
    mine = hsn.segment(read(data, LEARNED), model, mpp=MPP).instances > 0
    missed = [r for r in regionprops(truth) if not mine[truth == r.label].any()]
    false = mine & (ndimage.binary_dilation(truth > 0, iterations=5) == 0)
    chosen = [missed[k] for k in rng.permutation(len(missed))[:10]]
    client.mark(LEARNED, points(chosen) + strokes(false, 5, rng), "correction")
    return {"clicks": len(chosen), "strokes": min(5, int(np.count_nonzero(false) > 0) * 5)}


def main():
    """Run the journey."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=None, help="of each training; default: that of the app")
    epochs = parser.parse_args().epochs
    data = Path(os.environ["HSN_DATA"]) / "cryonuseg"
    with tempfile.TemporaryDirectory() as place:
        Image.fromarray(read(data, LEARNED)).save(Path(place) / f"{LEARNED}.png")
        command = [
            sys.executable,
            "-m",
            "hsn",
            "app",
            place,
            "--aim",
            "nuclei",
            "--mpp",
            str(MPP),
            "--no-browser",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                client = Client(server.stdout.readline().strip())
                rows, model = annotate_and_train(client, Path(place), data, epochs)
                exports = check_exports(client, model.name)
            finally:
                server.terminate()
    print(store(rows, exports))


def store(rows, exports=None):
    """Write the results so far; return them as text."""
    findings = json.loads(RESULTS.read_text()).get("findings", []) if RESULTS.exists() else []
    content = HEAD | {
        "findings": findings,
        "tables": [table_of_nets(rows)] + ([table_of_exports(exports)] if exports else []),
    }
    text = json.dumps(content, indent=1) + "\n"
    RESULTS.write_text(text)
    return text


def table_of_nets(rows):
    """Return the table of the scores of each net."""
    measures, images = ("dice", "recall", "precision"), ("annotated image", "held out")
    columns = [f"{name}: {measure}" for name in images for measure in measures]
    lines = []
    for row in rows:
        marks = row.get("new_marks")
        about = (
            [f"{marks['clicks']} clicks, {marks['strokes']} strokes", row["seconds"]] if marks else ["", ""]
        )
        lines.append([row["net"], *about, *(row[name][measure] for name in images for measure in measures)])
    return {
        "title": "A session of marks, trainings and corrections",
        "command": "python benchmarks/app_journey.py",
        "columns": ["net", "new marks", "training, s", *columns],
        "rows": lines,
        "note": f"Marked: {LEARNED}. Held out: {', '.join(HELD_OUT)}. Seed {SEED}. Recall: share of true nuclei that"
        " hold the center of a found one. Precision: share of found centers that lie in a true nucleus.",
    }  # fmt: skip


def table_of_exports(exports):
    """Return the table of the exported files, as other programs read them."""
    marks = ", ".join(f"{count} {kind}" for kind, count in exports["marks"].items())
    return {
        "title": "The exported files, read by GeoPandas and Shapely",
        "command": "python benchmarks/app_journey.py",
        "columns": ["marks", "objects of the last net", "valid polygons", "mean area, px"],
        "rows": [[marks, exports["objects"], exports["valid"], exports["mean_area_px"]]],
    }


def annotate_and_train(client, folder, data, epochs):
    """Mark and train, correct and train again; return the scores of each net, and the folder of the last one."""
    rng = np.random.default_rng(SEED)
    rows = [{"net": "base: nuclei-masks"} | score("nuclei-masks", data)]
    store(rows)
    regions = regionprops(truth_of(data, LEARNED))
    chosen = [regions[k] for k in rng.permutation(len(regions))[:CLICKS]]
    client.mark(LEARNED, points(chosen) + strokes(truth_of(data, LEARNED) == 0, STROKES, rng), "free")
    marks, model = {"clicks": CLICKS, "strokes": STROKES}, None
    for number in (1, 2):
        if model is not None:
            marks = correct(client, model, data, rng)
        job, seconds = client.train(epochs)
        assert job["state"] == "done", job
        model = folder / "hsn-project" / "models" / job["name"]
        about = {"net": f"training {number}", "new_marks": marks, "epochs": job["epochs"]}
        rows.append(about | {"seconds": round(seconds)} | score(model, data))
        store(rows)
    return rows, model


def check_exports(client, model):
    """Export marks and results; return what other programs read in them."""
    import geopandas
    import shapely

    archive = zipfile.ZipFile(io.BytesIO(client.get("api/annotations.zip")))
    marks = geopandas.GeoDataFrame.from_features(json.loads(archive.read(f"annotations/{LEARNED}.geojson")))
    request = {"images": [LEARNED], "formats": ["geojson"], "model": model}
    name = client.post("api/export", request)["name"]
    while True:
        archive = zipfile.ZipFile(io.BytesIO(client.get(f"api/exports/{name}.zip")))
        found = [path for path in archive.namelist() if path.endswith(".geojson")]
        if found:
            break
        time.sleep(2)
    shapes = [shapely.geometry.shape(f["geometry"]) for f in json.loads(archive.read(found[0]))["features"]]
    return {
        "marks": marks.geom_type.value_counts().to_dict(),
        "objects": len(shapes),
        "valid": sum(shape.is_valid for shape in shapes),
        "mean_area_px": round(float(np.mean([shape.area for shape in shapes])), 1),
    }


if __name__ == "__main__":
    main()
