"""Add the edits of a journal up: the features and tags of each image, as GeoJSON files and a table."""

import csv
import datetime
import json
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from ..files import atomic_write, csv_text
from ..projects.study import ANNOTATIONS, TAGS
from .features import ORIGINS, check_feature, check_id, class_of
from .journal import FOLDER, Journal
from .project import Project

PUT, REMOVE, TAG = "put", "remove", "tag"
_IDLE_S = 2.0  # files are written when nothing was edited for this time
MAX_EDITS = 5000  # in one request


class Annotations:
    """The annotation of a project, kept in its journal.

    Parameters
    ----------
    project : Project

    Attributes
    ----------
    journal : Journal
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._lock = threading.RLock()
        self._features: dict[str, dict[str, dict[str, Any]]] = {}
        self._tags: dict[str, dict[str, int]] = {}
        self._origins: dict[str, str] = {}
        self._last: dict[str, int] = {}  # number of the last edit of each session
        self._dirty: set[str] = set()
        self._timer: threading.Timer | None = None
        self.journal = Journal(project.folder / FOLDER)
        for record in self.journal.read():
            self._apply(record)
        self._write_stale_files()

    @property
    def seq(self) -> int:
        """Number of the last record."""
        return self.journal.seq

    def features(self, image: str) -> list[dict[str, Any]]:
        """Return the features of an image, in the order in which they were drawn."""
        with self._lock:
            return list(self._features.get(image, {}).values())

    def feature(self, image: str, name: str) -> dict[str, Any] | None:
        """Return a feature by its id, or None."""
        with self._lock:
            return self._features.get(image, {}).get(name)

    def tags(self, image: str) -> dict[str, int]:
        """Return the tags of an image: 1 for classes that are present, 0 for absent ones."""
        with self._lock:
            return dict(self._tags.get(image, {}))

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of features of each class, and of tags, by image."""
        with self._lock:
            counts: dict[str, dict[str, int]] = {
                image: dict(Counter(map(class_of, own.values())))
                for image, own in self._features.items()
                if own
            }
            for image, tags in self._tags.items():
                if tags:
                    counts.setdefault(image, {})["tags"] = len(tags)
            return counts

    def edit(self, edits: Sequence[dict[str, Any]], *, session: str) -> int:
        """Check edits, write them to the journal and apply them; return the number of the last record.

        Parameters
        ----------
        edits : sequence of dict
            `number` (counts the edits of a session: an edit that was sent twice is applied once), `op` ("put",
            "remove" or "tag"), `image`, `id`, and for "put" `feature`, for "tag" `value` (1, 0 or None) of the class
            `id`. Optional: `origin`.
        session : str
            Id of the page.

        Raises
        ------
        InputError
            "feature-invalid", "edits-invalid", "image-unknown" or "disk-full"; then no edit is applied.
        """
        if not isinstance(edits, list) or len(edits) > MAX_EDITS or not isinstance(session, str):
            raise InputError("edits-invalid", f"edits must be a list of at most {MAX_EDITS}", got=type(edits),
                             hint="reload the page")  # fmt: skip
        with self._lock:
            new = [e for e in edits if _number_of(e) > self._last.get(session, 0)]
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
            about = {"at": now, "user": self.project.user, "session": session}
            records = [about | self._check(edit) for edit in new]
            if records:
                self.journal.append(records)
                for record in records:
                    self._apply(record)
            images = {record["image"] for record in records}
            self._dirty |= images
            if images:
                self._write_later()
            return self.seq

    def log(self, op: str, **values: Any) -> None:
        """Append an event that changes no annotation: "train", "predict", "export"."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        with self._lock:
            self.journal.append([{"at": now, "user": self.project.user, "op": op, **values}])

    def since(self, seq: int) -> list[dict[str, Any]]:
        """Return the edits after a number, to bring a page up to date."""
        with self._lock:
            return [r for r in self.journal.read() if r["seq"] > seq and r["op"] in (PUT, REMOVE, TAG)]

    def history(self, count: int = 200) -> list[dict[str, Any]]:
        """Return the last records without their geometry, the newest first."""
        with self._lock:
            records = list(self.journal.read())[-count:]
        shown = []
        for record in reversed(records):
            feature = record.get("feature")
            kind = class_of(feature) if feature else record.get("class", "")
            entries = {k: v for k, v in record.items() if k not in ("feature", "session", "number")}
            shown.append(entries | {"class": kind})
        return shown

    def close(self) -> None:
        """Write the files now."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self.write_files()

    def write_files(self) -> None:
        """Write the GeoJSON of the changed images, and the table of tags."""
        with self._lock:
            for image in sorted(self._dirty):
                self._write_geojson(image)
            if self._dirty and (self._tags or (self.project.folder / TAGS).exists()):
                self._write_tags()
            self._dirty.clear()

    def _check(self, edit: dict[str, Any]) -> dict[str, Any]:
        """Return the record of an edit."""
        op, image = edit.get("op"), edit.get("image")
        picture = self.project.image(image)
        names = [kind.name for kind in self.project.study.classes]
        origin = edit.get("origin") if edit.get("origin") in ORIGINS else "free"
        record = {"number": edit["number"], "op": op, "image": picture.id, "origin": origin}
        if op == PUT:
            colors = {kind.name: kind.color for kind in self.project.study.classes}
            feature = check_feature(edit.get("feature"), self.project.size(picture.id), names, colors)
            return record | {"id": feature["id"], "feature": feature}
        if op == REMOVE:
            return record | {"id": check_id(edit.get("id")), "feature": None}
        if op == TAG and edit.get("id") in names and edit.get("value") in (0, 1, None):
            return record | {"id": edit["id"], "value": edit["value"]}
        raise InputError("edits-invalid", "an edit must put or remove a feature, or set a tag", got=repr(op)[:40],
                         hint="reload the page")  # fmt: skip

    def _apply(self, record: dict[str, Any]) -> None:
        op, image = record["op"], str(record.get("image"))
        if "session" in record and "number" in record:
            self._last[record["session"]] = max(record["number"], self._last.get(record["session"], 0))
        if op == PUT:
            self._features.setdefault(image, {})[record["id"]] = record["feature"]
            self._origins[record["id"]] = record.get("origin", "free")
        elif op == REMOVE:
            self._features.get(image, {}).pop(record["id"], None)
        elif op == TAG:
            tags = self._tags.setdefault(image, {})
            tags.pop(record["id"], None)
            if record["value"] is not None:
                tags[record["id"]] = record["value"]

    def _write_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(_IDLE_S, self.write_files)
        self._timer.daemon = True
        self._timer.start()

    def _write_stale_files(self) -> None:
        """After a start: write the files that do not hold the last edits."""
        self._dirty = {
            image for image in {*self._features, *self._tags} if _seq_of(self._path(image)) != self.seq
        }
        self.write_files()

    def _path(self, image: str) -> Any:
        return self.project.folder / ANNOTATIONS / f"{image}.geojson"

    def _write_geojson(self, image: str) -> None:
        """Write the annotations of an image; a file of another program is kept under another name."""
        features, path = self.features(image), self._path(image)
        if path.is_file() and _seq_of(path) is None:
            path.replace(path.with_suffix(".geojson.bak"))
        with atomic_write(path) as temporary:
            lines = ",\n".join(json.dumps(feature, ensure_ascii=False) for feature in features)
            text = f'{{"type": "FeatureCollection", "seq": {self.seq}, "features": [\n{lines}\n]}}\n'
            temporary.write_text(text, encoding="utf-8")

    def _write_tags(self) -> None:
        names = [kind.name for kind in self.project.study.classes]
        with (
            atomic_write(self.project.folder / TAGS) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.writer(file)
            table.writerow(["file", *map(csv_text, names)])
            for image, tags in sorted(self._tags.items()):
                if tags and image in self.project.images:
                    name = csv_text(self.project.image(image).path.name)
                    table.writerow([name, *(tags.get(kind, "") for kind in names)])


def _number_of(edit: Any) -> int:
    number = edit.get("number") if isinstance(edit, dict) else None
    if type(number) is not int or number < 1:
        raise InputError("edits-invalid", "an edit must have a number from 1 on", got=number,
                         hint="reload the page")  # fmt: skip
    return number


def _seq_of(path: Any) -> int | None:
    """Return the sequence number in a GeoJSON file of `write_files`."""
    try:
        with path.open(encoding="utf-8") as file:
            start = file.read(100)
        return int(start.partition('"seq": ')[2].partition(",")[0])
    except (OSError, ValueError):
        return None
