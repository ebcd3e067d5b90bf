"""Drive the first ten minutes of `hsn app` on a real image, and score each net on held-out truth.

    HSN_DATA=... python benchmarks/app_journey.py --epochs 3

A server runs in a process of its own. The script plays the annotator: 30 clicks on true nuclei of one CryoNuSeg image
and five strokes where there are none; Train; then marks where the new net is wrong (clicks on missed nuclei, strokes on
false ones); Train; export. The nets are scored on two images of other organs: Dice of the foreground, and the share of
true nuclei that hold a found center. Results: `benchmarks/results/app_journey.json`.
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
LEARNED, HELD_OUT = "Human_Mediastinum_01", ("Human_Larynx_01", "Human_Skin_01")
CLICKS, STROKES = 30, 5
RESULTS = Path(__file__).parent / "results" / "app_journey.json"


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
    """Return Dice and the share of nuclei that hold a found center, of both held-out images together."""
    import hsn

    same = found = total = held = nuclei = 0
    for name in HELD_OUT:
        truth, result = truth_of(data, name), hsn.segment(read(data, name), model, mpp=MPP)
        mine = result.instances > 0
        same += np.count_nonzero(mine & (truth > 0))
        total += np.count_nonzero(mine) + np.count_nonzero(truth > 0)
        centers = [tuple(int(v) for v in r.centroid) for r in regionprops(result.instances)]
        hit = {truth[center] for center in centers} - {0}
        held, nuclei, found = held + len(hit), nuclei + truth.max(), found + len(centers)
    return {
        "dice": round(2 * same / total, 4),
        "recall": round(held / nuclei, 4),
        "found": found,
        "true": int(nuclei),
    }


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
    data, rng = Path(os.environ["HSN_DATA"]) / "cryonuseg", np.random.default_rng(SEED)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        Image.fromarray(read(data, LEARNED)).save(folder / f"{LEARNED}.png")
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
                rows.append({"net": "base: nuclei-masks"} | score("nuclei-masks", data))
                regions = regionprops(truth_of(data, LEARNED))
                chosen = [regions[k] for k in rng.permutation(len(regions))[:CLICKS]]
                client.mark(
                    LEARNED, points(chosen) + strokes(truth_of(data, LEARNED) == 0, STROKES, rng), "free"
                )
                model = None
                for number in (1, 2):
                    marks = (
                        {"clicks": CLICKS, "strokes": STROKES}
                        if number == 1
                        else correct(client, model, data, rng)
                    )
                    job, seconds = client.train(epochs)
                    assert job["state"] == "done", job
                    model = folder / "hsn-project" / "models" / job["name"]
                    about = {"net": f"training {number}", "new_marks": marks, "epochs": job["epochs"]}
                    rows.append(about | {"seconds": round(seconds)} | score(model, data))
                    print(rows[-1], flush=True)
                archive = zipfile.ZipFile(io.BytesIO(client.get("api/annotations.zip")))
                exported = json.loads(archive.read(f"annotations/{LEARNED}.geojson"))
                rows.append({"exported": len(exported["features"])} | _independent(exported))
            finally:
                server.terminate()
    RESULTS.write_text(
        json.dumps({"seed": SEED, "learned": LEARNED, "held_out": HELD_OUT, "rows": rows}, indent=1) + "\n"
    )
    print(json.dumps(rows, indent=1))


def _independent(exported):
    """Read the export with GeoPandas."""
    import geopandas

    table = geopandas.GeoDataFrame.from_features(exported)
    return {"geopandas": table.geom_type.value_counts().to_dict()}


if __name__ == "__main__":
    main()
