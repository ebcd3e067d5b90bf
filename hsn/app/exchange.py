"""GeoJSON of QuPath in, annotations and results out."""

import io
import json
import re
import shlex
import subprocess
import sys
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..annotations.annotation import is_object_class
from ..annotations.geojson import class_name
from ..errors import InputError
from ..exports.formats import check_formats
from ..files import read_text
from ..limits import GEOJSON_DEPTH
from ..projects.study import ANNOTATIONS
from .annotations import MAX_EDITS, Annotations
from .features import MAX_CORNERS, SPECIAL, check_feature
from .project import Project

IMPORT_BYTES = 200_000_000
EXPORTS, _SUGGESTION = "exports", re.compile(r"to annotate", re.IGNORECASE)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def compare_import(project: Project, annotations: Annotations, image: str, data: Any) -> dict[str, Any]:
    """Compare GeoJSON with the annotations of an image.

    Parameters
    ----------
    project, annotations
    image : str
    data : object
        Parsed GeoJSON, as QuPath exports it.

    Returns
    -------
    dict
        `new` and `changed`: edits that the page may apply. `missing`: ids that the file lacks; they are removed only
        after a question. `same`, `skipped`: numbers. `unknown`: names and kinds of unknown classes.

    Raises
    ------
    InputError
        "geojson-geometry" or "geojson-depth".
    """
    names = [kind.name for kind in project.study.classes]
    colors = {kind.name: kind.color for kind in project.study.classes}
    size = project.size(image)
    known = {feature["id"]: feature for feature in annotations.features(image)}
    report: dict[str, Any] = {"new": [], "changed": [], "same": 0, "skipped": [], "unknown": {}}
    seen = set()
    for raw in _simple_features(data, 0):
        name = _class_of(raw, names)
        if name is None:
            report["skipped"].append("a square to annotate is a suggestion, not an annotation")
            continue
        if name not in names and name not in SPECIAL:
            report["unknown"][name[:60]] = "object" if is_object_class(name) else "tissue"
            continue
        before = known.get(raw["id"])
        own = (
            before["properties"].get("hsn") if before and before["geometry"]["type"] == "LineString" else None
        )
        properties = {"classification": {"name": name}} | ({"hsn": own} if own else {})
        try:
            feature = check_feature({**raw, "properties": properties}, size, names, colors)
        except InputError as error:
            report["skipped"].append(str(error))
            continue
        seen.add(feature["id"])
        edit = {"op": "put", "image": image, "id": feature["id"], "feature": feature, "origin": "import"}
        if before == feature:
            report["same"] += 1
        else:
            report["changed" if before else "new"].append(edit)
    missing = [{"op": "remove", "image": image, "id": name} for name in known if name not in seen]
    return report | {
        "missing": missing,
        "skipped": report["skipped"][:20],
        "left_out": len(report["skipped"]),
    }


def import_existing(project: Project, annotations: Annotations) -> None:
    """Take the annotations of a study that was annotated before into a journal that is empty."""
    if annotations.seq:
        return
    for image in project.images:
        path = project.folder / ANNOTATIONS / f"{image}.geojson"
        if path.is_file():
            data = json.loads(read_text(path, max_bytes=IMPORT_BYTES, encoding="utf-8-sig"))
            edits = compare_import(project, annotations, image, data)["new"]
            for start in range(0, len(edits), MAX_EDITS):
                part = edits[start : start + MAX_EDITS]
                numbered = [edit | {"number": start + k} for k, edit in enumerate(part, 1)]
                annotations.edit(numbered, session=f"import {image}")


def _class_of(raw: dict[str, Any], names: Sequence[str]) -> str | None:
    """Return the class of a feature of QuPath; None for a square that `hsn select` suggested."""
    properties = raw["properties"]
    label = class_name(properties)
    if _SUGGESTION.search(str(properties.get("name", ""))) or (label and _SUGGESTION.search(label)):
        return None
    if label is None:
        return names[0]
    for special in SPECIAL:
        if label.startswith(special.rstrip("*")):
            return special
    return label


def _simple_features(data: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield features with a simple geometry; the parts of a multiple geometry become features of their own."""
    if depth > GEOJSON_DEPTH:
        raise InputError("geojson-depth", f"GeoJSON must nest at most {GEOJSON_DEPTH} collections", got="more",
                         hint="export the annotations again")  # fmt: skip
    if isinstance(data, list) or (isinstance(data, dict) and data.get("type") == "FeatureCollection"):
        members = data if isinstance(data, list) else data.get("features")
        for member in members if isinstance(members, list) else []:
            yield from _simple_features(member, depth + 1)
        return
    geometry = data.get("geometry") if isinstance(data, dict) and data.get("type") == "Feature" else None
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if not isinstance(geometry, dict) or kind is None:
        raise InputError("geojson-geometry", "the file must hold features of GeoJSON", got=repr(data)[:60],
                         hint="export the annotations of QuPath as GeoJSON")  # fmt: skip
    properties = data["properties"] if isinstance(data.get("properties"), dict) else {}
    given = str(data.get("id", "")).lower()
    coordinates: Any = geometry.get("coordinates")
    multiple = str(kind).startswith("Multi") and isinstance(coordinates, list)
    parts = coordinates if multiple else [coordinates]
    for number, part in enumerate(parts[:MAX_CORNERS]):
        own = given if _ID.fullmatch(given) and (number == 0 or not multiple) else _id_of(kind, part)
        simple = {"type": str(kind).removeprefix("Multi"), "coordinates": part}
        yield {"type": "Feature", "id": own, "geometry": simple, "properties": properties}


def _id_of(kind: str, coordinates: Any) -> str:
    """Return an id that follows from the geometry: a second import finds the same feature."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([kind, coordinates])))


def zip_annotations(project: Project, annotations: Annotations) -> bytes:
    """Return a zip of the annotations: GeoJSON for QuPath of each image, and the table of tags."""
    annotations.write_files()
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for image in project.images:
            features = annotations.features(image)
            if features:
                text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
                archive.writestr(f"annotations/{image}.geojson", text)
        for name in ("study.toml", "images.csv", "tags.csv"):
            if (project.folder / name).is_file():
                archive.write(project.folder / name, name)
    return data.getvalue()


class Exports:
    """Exports of what a net finds in whole images: `hsn segment` as a child process.

    Parameters
    ----------
    project : Project
    publish : callable
        Called with a kind of message and its values.
    """

    def __init__(self, project: Project, publish: Callable[..., None]) -> None:
        self._project, self._publish = project, publish
        self._children: dict[str, subprocess.Popen] = {}

    def commands(
        self, model: str, images: Sequence[str], formats: Sequence[str], out: Path
    ) -> list[list[str]]:
        """Return the command lines: one for each scale that was given by the user."""
        by_scale: dict[float | None, list[str]] = {}
        for image in images:
            picture = self._project.image(image)
            by_scale.setdefault(picture.mpp, []).append(str(picture.path))
        tail = ["--model", model, "--out", str(out), *(["--save", ",".join(formats)] if formats else [])]
        return [
            ["segment", *paths, *tail, *([] if mpp is None else ["--mpp", f"{mpp:g}"])]
            for mpp, paths in by_scale.items()
        ]

    def start(self, model: str, images: Sequence[str], formats: Sequence[str]) -> dict[str, Any]:
        """Start an export; return its name and the command lines that repeat it.

        Raises
        ------
        InputError
            "formats-unknown", "image-unknown", or "export-empty".
        """
        formats = check_formats(formats)
        if not images:
            raise InputError(
                "export-empty", "one image or more must be exported", got="none", hint="choose images"
            )
        folder = self._project.folder.resolve() / EXPORTS
        name = f"{max((int(p.name) for p in folder.glob('[0-9]*') if p.name.isdigit()), default=0) + 1:04}"
        out = folder / name
        commands = self.commands(model, images, formats, out)
        out.mkdir(parents=True)
        lines = [shlex.join(["hsn", *command]) for command in commands]
        (out / "command.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        threading.Thread(target=self._run, args=(name, out, commands), daemon=True).start()
        return {"name": name, "commands": lines}

    def _run(self, name: str, out: Path, commands: list[list[str]]) -> None:
        code = 0
        for command in commands:
            with (out / "log.txt").open("ab") as log:
                child = subprocess.Popen([sys.executable, "-m", "hsn", *command], stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log)  # fmt: skip
                self._children[name] = child
                code = max(code, child.wait())
        text = (out / "log.txt").read_text(encoding="utf-8", errors="replace").strip().split("\n")[-1]
        self._publish("export", name=name, state="failed" if code else "done", reason=text if code else "")

    def zip(self, name: str) -> Path:
        """Return the path of a zip of a finished export.

        Raises
        ------
        InputError
            "export-unknown".
        """
        out = self._project.folder.resolve() / EXPORTS / name
        if not name.isdigit() or not out.is_dir():
            raise InputError("export-unknown", "the export must be one of the project", got=repr(name)[:20],
                             hint="export again")  # fmt: skip
        target = out.with_suffix(".zip")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(out.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(out))
        return target

    def close(self) -> None:
        """End the child processes."""
        for child in self._children.values():
            if child.poll() is None:
                child.terminate()
