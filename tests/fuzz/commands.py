"""Command lines, drawn from a seed, and the files that they name."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from inputs import (
    FOLDERS,
    NAMES,
    NUMBERS,
    SUFFIXES,
    chance,
    copy_net,
    damage,
    damage_some,
    draw_tissue,
    mangle,
    outlines_text,
    pick,
    points_text,
    shapes_text,
    study_text,
    taxonomy_text,
    write_image,
    write_objects,
    write_regions,
    write_result,
    write_slide,
    write_text,
)  # fmt: skip
from scipy.io import savemat

SEED = 20261130
DEFAULTS = {"out", "chosen", "exports", "masks", "tissue"}  # outputs of commands without `--out`


@dataclass
class Drawn:
    """A command and the files that it may write.

    Attributes
    ----------
    words : list of str
        Without `hsn` itself. Paths are relative to the folder in which the command runs.
    outputs : set of str
        Files and folders that may be written.
    """

    words: list
    outputs: set = field(default_factory=set)


def draw(number, folder, nets):
    """Draw the command with a number, and write its files into a folder.

    Parameters
    ----------
    number : int
    folder : path
        An empty folder, in which the command shall run.
    nets : list of path
        Small trained nets.

    Returns
    -------
    Drawn
    """
    rng = np.random.default_rng([SEED, number])
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    fits = (_masks, _points, _tags, _selected, _mixed)
    others = (
        _segment, _segment, _slide, _evaluate, _evaluate, _evaluate, _select, _export, _export, _import, _import,
        _tissue, _project, _synthesize, _models,
    )  # fmt: skip
    drawn = pick(rng, fits if chance(rng, 0.16) else others)(rng, folder, nets)  # fits take seconds
    words = [word if chance(rng, 0.996) else mangle(rng, word) for word in map(str, drawn.words)]
    words = [word.replace("\0", "") for word in words]  # no system passes it on
    if drawn.words[0] != "models" and words[0] == drawn.words[0]:
        words += [pick(rng, ("--json", "-q", "--quiet", "--json"))] if chance(rng, 0.2) else []
    return Drawn(words, drawn.outputs | DEFAULTS)  # a changed word may be that of an option


def _images(rng, folder, count=None, odd=0.3, times=1):
    """Write images, some under odd names or suffixes; return their names and objects."""
    written = []
    for number in range(count or rng.integers(1, 4)):
        pixels, objects = draw_tissue(rng, usual=1 - odd * 0.8)
        pixels = np.tile(pixels, (times, times, 1))
        name = str(number) if chance(rng, 1 - odd) else pick(rng, NAMES)
        place = folder / (pick(rng, FOLDERS) if chance(rng, odd / 2) else "")
        write_image(rng, place / f"{name}{pick(rng, SUFFIXES) if chance(rng, odd) else '.png'}", pixels)
        written.append((name, objects))
    return written


def _out(rng, folder, default="out"):
    """Return an output folder; it may exist, be a file, or hold something."""
    name = (
        default
        if chance(rng, 0.9)
        else pick(rng, ("file", "my out", "o" * 250, "ü", "=x", "in", "", "/dev/null/x"))
    )
    if name == "file":
        (folder / name).write_text("mine")
    elif chance(rng, 0.1) and name == default:
        (folder / name).mkdir()
        write_text(
            rng,
            folder / name / pick(rng, ("summary.csv", "choice.csv", "run.json", "card.json")),
            "a,b\n1,2\n",
        )
    return name


def _number(rng, likely):
    return likely if chance(rng, 0.97) else pick(rng, NUMBERS)


def _options(rng, *options):
    """Return each option, a name and a value, with a probability of a third."""
    return [str(word) for option in options if chance(rng, 0.33) for word in option]


def _taxonomy(rng, folder):
    """Return the name of a taxonomy: built in, or of a file."""
    if chance(rng, 0.5):
        return pick(rng, ("nuclei", "glas", "adp-func", "none", "../x.toml"))
    suffix = pick(rng, (".toml", ".json", ".TOML"))
    return write_text(rng, folder / f"lab{suffix}", taxonomy_text(rng, suffix)).name


def _net(rng, folder, nets):
    """Return a net: a good one, a changed one, or none."""
    net = pick(rng, nets)
    if chance(rng, 0.7):
        return str(net)
    if chance(rng, 0.2):
        return pick(rng, ("none", "", ".", "/", "net\n", "x" * 300, "~", "../nets"))
    return str(copy_net(rng, net, folder / "net").name)


def _segment(rng, folder, nets):
    _images(rng, folder / "in")
    damage_some(rng, folder / "in", 0.15)
    out = _out(rng, folder)
    places = (
        ["in"]
        if chance(rng, 0.8)
        else [f"in/{name}" for name in sorted(os.listdir(folder / "in"))[:2]]
        + ["missing"] * int(rng.integers(2))
    )
    extra = _options(rng, ("--mpp", _number(rng, "0.5")), ("--overwrite",), ("--save", _formats(rng)))
    extra += ["--taxonomy", _taxonomy(rng, folder)] if chance(rng, 0.1) else []
    return Drawn(["segment", *places, "--model", _net(rng, folder, nets), "--out", out, *extra], {out})


def _formats(rng):
    """Return names of formats, rarely an unknown one."""
    names = ("geojson", "geojson.gz", "csv", "parquet", "geoparquet", "label-images", "imagej", "coco", "hovernet",
             "ome-tiff", "ome-zarr", "report")  # fmt: skip
    chosen = [pick(rng, names) for _ in range(rng.integers(1, 4))]
    return ",".join(chosen + ["x"] * chance(rng, 0.05))


def _slide(rng, folder, nets):
    """A scan of a few tiles, with a net of objects."""
    path = write_slide(rng, folder / "in" / "scan.svs")
    if chance(rng, 0.2):
        damage(rng, path)
    out = _out(rng, folder)
    extra = _options(rng, ("--mpp", _number(rng, "0.5")), ("--save", _formats(rng)), ("--skip-errors",),
                     ("--memory", pick(rng, ("1GB", "1GB", "2 gb", "10KB", "-1", "1e400GB"))),
                     ("--tissue", pick(rng, ("none", "none", "none", "in"))))  # fmt: skip
    place = pick(rng, ("in", "in/scan.svs"))
    return Drawn(["segment", place, "--model", str(nets[1]), "--out", out, *extra], {out})


def _tissue(rng, folder, nets):
    """Scans and plain images."""
    write_slide(rng, folder / "in" / "scan.svs")
    _images(rng, folder / "in")
    damage_some(rng, folder / "in", 0.1)
    places = pick(rng, (["in"], ["in/scan.svs"], ["in", "in/scan.svs"], ["missing"]))
    out = _out(rng, folder, "tissue")
    return Drawn(["tissue", *places, "--out", out, *_options(rng, ("--mpp", _number(rng, "0.5")))], {out})


def _evaluate(rng, folder, nets):
    """Objects, classes, or both of a net."""
    kind = pick(rng, ("objects", "objects", "classes", "model"))
    for name, objects in _images(rng, folder / "in"):
        objects = (objects > 0).astype(np.int32) if kind == "classes" else objects
        for side in ("pred", "truth"):
            moved = np.roll(objects, int(rng.integers(3)), axis=1)
            write_objects(rng, folder / side / f"{name}.png", moved)
        if kind == "objects" and chance(rng, 0.2):
            (folder / "truth" / f"{name}.png").unlink()
            write_text(rng, folder / "truth" / f"{name}.xml", outlines_text(rng))
        if kind == "objects" and chance(rng, 0.1):
            write_regions(rng, folder / "truth" / f"{name}.zip")
    for side in ("in", "pred", "truth"):
        damage_some(rng, folder / side, 0.05)
    out = _out(rng, folder)
    suited = {"objects": ["--instances"], "classes": ["--taxonomy", "nuclei"]}
    extra = suited.get(kind, []) if chance(rng, 0.95) else ["--taxonomy", _taxonomy(rng, folder)]
    extra += ["--hausdorff"] if kind == "objects" and chance(rng, 0.4) else []
    extra += _options(
        rng, ("--size", pick(rng, ("full", "image", "full", "x"))), ("--unlisted", "false_alarms")
    )
    extra += _options(rng, ("--suffix", "_x"), ("--objects", pick(rng, ("Nucleus", "x")))) * chance(rng, 0.1)
    if kind == "model":
        words = ["evaluate", "in", "truth", "--model", _net(rng, folder, nets), "--mpp", _number(rng, "0.5")]
        extra += _options(rng, ("--instances",), ("--objects", "Nucleus"))
        return Drawn([*words, "--out", out, *extra], {out})
    return Drawn(["evaluate", "pred", "truth", "--out", out, *extra], {out})


def _export(rng, folder, nets):
    """Results of one or two images; some of their files are damaged."""
    for name, objects in _images(rng, folder / "in"):
        write_result(folder / "results", name, objects)
    damage_some(rng, folder / "results", 0.04)
    for path in (folder / "results" / "areas").glob("*.json"):
        if path.is_file() and chance(rng, 0.15):
            write_text(rng, path, mangle(rng, path.read_text("utf-8")))
    dest = _out(rng, folder, "exports")
    extra = _options(rng, ("--simplify", _number(rng, "1.5")))
    place = "results" if chance(rng, 0.95) else pick(rng, ("in", "missing", "results/areas"))
    return Drawn(["export", place, "--to", _formats(rng), "--dest", dest, *extra], {dest})


def _import(rng, folder, nets):
    pixels, objects = draw_tissue(rng)
    write_image(rng, folder / "a.png", pixels)
    name = pick(rng, ("x.png", "x.tif", "x.npy", "x.xml", "x.zip", "x.geojson", "x.json", "x.mat"))
    if name.endswith((".png", ".tif")):
        write_objects(rng, folder / name, objects)
    elif name == "x.zip":
        write_regions(rng, folder / name)
    elif name == "x.npy":
        np.save(
            folder / name, objects.astype(pick(rng, (np.uint8, np.int64, np.float32, bool, np.complex64)))
        )
    elif name == "x.mat":
        savemat(folder / name, {pick(rng, ("inst_map", "inst_map", "x")): objects.astype(np.float64)})
    else:
        write_text(rng, folder / name, outlines_text(rng) if name == "x.xml" else shapes_text(rng))
    if chance(rng, 0.15):
        damage(rng, folder / name)
    out = _out(rng, folder, "masks")
    extra = _options(
        rng, ("--as", pick(rng, ("masks", "geojson", "geojson", "geojson")) if chance(rng, 0.97) else "x")
    )
    return Drawn(["import", name, "--like", "a.png", "--out", out, *extra], {out})


def _project(rng, folder, nets):
    """A new study, or the check of one with drawn annotation."""
    images = _images(rng, folder / "in")
    if chance(rng, 0.4):
        extra = _options(rng, ("--mpp", _number(rng, "0.5")), ("--tissues", pick(rng, ("Tumor,Stroma", "", "a,a"))),
                         ("--annotator", pick(rng, NAMES)), ("--objects", pick(rng, ("Nucleus", "A,B"))))  # fmt: skip
        words = [word.encode("utf-8", "replace").decode() for word in map(str, extra)]
        return Drawn(["project", "new", "study", "in", *words], {"study"})
    write_text(rng, folder / "study" / "study.toml", study_text(rng))
    rows = "".join(
        f"../in/{name}.png,{pick(rng, ('', '0.5'))},,{pick(rng, ('', 'train'))}\n" for name, _ in images
    )
    rows = rows.encode("utf-8", "replace").decode()
    write_text(rng, folder / "study" / "images.csv", "image,mpp,group,split\n" + rows)
    for name, objects in images:
        write_text(rng, folder / "study" / "annotations" / f"{name}.geojson", shapes_text(rng))
        if chance(rng, 0.5):
            write_objects(rng, folder / "study" / "masks" / f"{name}.png", objects)
    damage_some(rng, folder / "study", 0.05)
    return Drawn(["project", "check", "study"], set())


def _fit(rng, folder, words, *extra):
    """Return `hsn fit` with the smallest net, and with odd values."""
    out = _out(rng, folder, "mine")
    words = ["fit", *words, "--out", out, "--epochs", _number(rng, "1"), *extra]
    words += ["--mpp", _number(rng, "0.5")] if chance(rng, 0.95) else []
    words += ["--validation", _number(rng, "0.5"), "--batch", _number(rng, "2")]
    words += _options(rng, ("--seed", _number(rng, "3")), ("--progress", "log.jsonl"))
    words += _options(rng, ("--start", "nowhere"), ("--device", pick(rng, ("cpu", "gpu:7", "x"))), ("--complete",),
                      ("--taxonomy", _taxonomy(rng, folder))) if chance(rng, 0.1) else []  # fmt: skip
    return Drawn(words, {out, "log.jsonl"})


def _masks(rng, folder, nets):
    for name, objects in _images(rng, folder / "data", count=3, odd=0.08):
        kind = rng.random()
        if kind < 0.8:
            write_objects(
                rng,
                folder / "data" / f"{name}{pick(rng, ('_mask', '_mask', '_label', '-labelled'))}.png",
                objects,
            )
        elif kind < 0.9:
            write_text(rng, folder / "data" / f"{name}.xml", outlines_text(rng))
        else:
            write_regions(rng, folder / "data" / f"{name}.zip")
    damage_some(rng, folder / "data", 0.03)
    where = pick(rng, (["data"], ["data"], ["--masks", "data"], ["data", "--kind", "masks"]))
    return _fit(
        rng, folder, where, "--net", "unet" if chance(rng, 0.9) else "x", "--width", _number(rng, "2")
    )


def _points(rng, folder, nets):
    for name, _ in _images(rng, folder / "data", count=3, odd=0.08):
        suffix = pick(rng, (".csv", ".csv", ".geojson", ".txt", ".json"))
        write_text(rng, folder / "data" / f"{name}{suffix}", points_text(rng, suffix))
    damage_some(rng, folder / "data", 0.03)
    where = pick(
        rng, (["--points", "data"], ["data", "--kind", "points"], ["data", "--kind", "points"], ["data"])
    )
    extra = ["--net", "resunet18" if chance(rng, 0.95) else "unet"]
    extra += (
        ["--complete"] if chance(rng, 0.9) else ["--rounds", _number(rng, "0")]
    )  # the detector takes long
    extra += _options(rng, ("--radius", _number(rng, "3")))
    extra += ["--label", "tumor"] * chance(rng, 0.1)
    return _fit(rng, folder, where, "--width", _number(rng, "2"), *extra)


def _mixed(rng, folder, nets):
    """Outlines and clicks of QuPath, label images and tags of one folder."""
    names = _images(rng, folder / "data", count=3, odd=0.08)
    for name, objects in names:
        if chance(rng, 0.7):
            write_text(rng, folder / "data" / f"{name}.geojson", shapes_text(rng))
        if chance(rng, 0.4):
            write_objects(rng, folder / "data" / f"{name}_mask.png", objects)
    damage_some(rng, folder / "data", 0.04)
    extra = _options(rng, ("--without", pick(rng, ("masks", "points", "boxes", "x"))), ("--tissues", "tumor"))
    return _fit(rng, folder, ["data", "--kind", "mixed"], *extra)


def _tags(rng, folder, nets):
    """A table, a folder for each class, or names that end with tags."""
    source = pick(rng, (["tags.csv"], ["tags.csv"], ["folders"], ["names", "--classes", "a,b"]))
    count = 4
    if source == ["tags.csv"]:
        names = [pick(rng, NAMES) if chance(rng, 0.05) else str(k) for k in range(count)]
        for name in names:
            write_image(rng, folder / "data" / f"{name}.png", draw_tissue(rng, usual=0.95, shape=(48, 48))[0])
        rows = "".join(f"{name}.png,{k % 2},{pick(rng, ('0', '1', ''))}\n" for k, name in enumerate(names))
        write_text(rng, folder / "tags.csv", "file,tumor,fat\n" + rows)
    else:
        for k in range(count):
            name = f"A/{k}" if k % 2 else f"B/{k}"
            name = name if source == ["folders"] else f"{k}-[{k % 2} {pick(rng, '01')}]"
            write_image(rng, folder / "data" / f"{name}.png", draw_tissue(rng, usual=0.95, shape=(48, 48))[0])
    damage_some(rng, folder / "data", 0.05)
    net = "m1" if chance(rng, 0.95) else "m9"
    width = "0.05" if chance(rng, 0.95) else pick(rng, ("0", "-1", "nan", "40", "x"))  # 2 takes minutes
    return _fit(rng, folder, ["data", "--tags", *source], "--net", net, "--width", width)


def _selected(rng, folder, nets):
    _images(rng, folder / "data", count=2, odd=0.08)
    for name, objects in _images(rng, folder / "chosen", count=3, odd=0.08):
        write_objects(rng, folder / "chosen" / f"{name}_mask.png", objects)
    damage_some(rng, folder / "chosen", 0.05)
    words = ["data", "--selected", pick(rng, ("chosen", "chosen", "chosen", "empty")), "--synthetic", "0"]
    drawn = _fit(
        rng, folder, words, "--net", "unet", "--width", _number(rng, "2"), "--rounds", _number(rng, "0")
    )
    return Drawn(drawn.words, {*drawn.outputs, "empty"})


def _select(rng, folder, nets):
    _images(rng, folder / "in", times=2)
    damage_some(rng, folder / "in", 0.15)
    out = _out(rng, folder, "chosen")
    extra = ["--side-px", _number(rng, "64"), "--min-tissue", _number(rng, "0"), "--n", _number(rng, "2")]
    extra += _options(rng, ("--seed", _number(rng, "1")), ("--stride-px", _number(rng, "16")))
    extra += ["--encoder", _net(rng, folder, nets), "--mpp", _number(rng, "0.5")] if chance(rng, 0.25) else []
    return Drawn(["select", "in", "--out", out, *extra], {out})


def _synthesize(rng, folder, nets):
    """Only what fails at once: a synthesis takes minutes."""
    pixels, objects = draw_tissue(rng)
    write_image(rng, folder / "a.png", pixels)
    kind = pick(rng, (".png", ".xml", ".zip"))
    if kind == ".png":
        write_objects(rng, folder / "a_mask.png", objects)
    elif kind == ".xml":
        write_text(rng, folder / "a_mask.xml", outlines_text(rng))
    else:
        write_regions(rng, folder / "a_mask.zip")
    damage_some(rng, folder, 0.2)
    wrong = pick(
        rng, (("--n", "0"), ("--preset", "x"), ("--mode", "x"), ("--max-overlap", "nan"), ("--seed", "-1"))
    )
    return Drawn(["synthesize", "a.png", f"a_mask{kind}", "--out", "out", *wrong], {"out"})


def _models(rng, folder, nets):
    words = pick(rng, (
        ["models", "list"], ["models", "show", _net(rng, folder, nets)], ["models", "show", _net(rng, folder, nets)],
        ["models", "import", _archive(rng, folder), "--home", "home"],
        ["models", "fetch", pick(rng, ("file:///etc/passwd", "http://", "ftp://a/b", "x", "https://[", "http://127.0.0.1:9/a"))],
        ["models"], ["doctor", "--quick"], ["--version"], ["models", "show"], [pick(rng, NAMES)],
    ))  # fmt: skip
    return Drawn(list(words), {"home", "hsn_data.zip", "hsn_data.zip.json", "hsn_data.zip.part"})


def _archive(rng, folder):
    return write_regions(rng, folder / pick(rng, ("release.zip", "release.h5", "release"))).name
