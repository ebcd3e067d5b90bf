"""Routes: the requests that the page can send to the server; each is a method, named after its result."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from .. import __version__
from ..errors import InputError
from ..keras_start import count_cores
from ..limits import MESSAGE_CHARS
from .annotations import Annotations
from .events import Hub
from .exchange import IMPORT_BYTES, Exports, compare_import, import_existing, zip_annotations
from .features import SPECIAL
from .guard import cookie_name
from .jobs import Jobs
from .live import Live
from .predictions import SHOW, Look, Predictions
from .project import AIMS, Project
from .suggest import find_warnings, find_worst, suggest_places
from .tiles import EMPTY, ImageTiles, levels_of

STATIC = Path(__file__).parent / "static"
_BODY_BYTES = 2**24  # of a request, except imports
_KEPT = {"Cache-Control": "private, max-age=86400"}
NEVER_KEPT = {"Cache-Control": "no-store"}
_NOT_FOUND = ("image-unknown", "model-unknown", "export-unknown")
_CORES_FOR_BOTH = 4  # below, nets wait for a training
_MAX_OBJECTS, _MAX_EPOCHS = 2000, 1000


class Routes:
    """The answers of the server.

    Parameters
    ----------
    project : Project
    token : str
    port : int
    """

    def __init__(self, project: Project, *, token: str, port: int) -> None:
        self.project, self._token, self._port = project, token, port
        self.hub = Hub()
        self.annotations = Annotations(project)
        import_existing(project, self.annotations)
        self.tiles = ImageTiles(project.slide)
        self.jobs = Jobs(project, self.annotations, self.hub.publish)
        self.exports = Exports(project, self.hub.publish)
        self.predictions = Predictions(project, self.hub.publish, self._nets_may_run)
        self.live = Live(
            project, self.annotations, lambda version: self.hub.publish("fitted", version=version)
        )

    def routes(self) -> list[Any]:
        """Return the table of routes."""
        return [
            Route("/", self.page),
            Route("/api/project", self.get_project),
            Route("/api/project", posted(self.change_project), methods=["POST"]),
            Route("/api/images/{id}", self.get_image),
            Route("/api/images/{id}", posted(self.change_image), methods=["POST"]),
            Route("/api/images/{id}/features", self.get_features),
            Route("/api/images/{id}/thumbnail", self.get_thumbnail),
            Route("/api/edits", posted(self.edit), methods=["POST"]),
            Route("/api/history", self.get_history),
            Route("/api/suggest", self.get_places),
            Route("/api/worst", self.get_worst),
            Route("/api/warnings", self.get_warnings),
            Route("/api/images/{id}/import", posted(self.compare, max_bytes=IMPORT_BYTES), methods=["POST"]),
            Route("/api/annotations.zip", self.get_annotations_zip),
            Route("/api/export", posted(self.export), methods=["POST"]),
            Route("/api/exports/{name}.zip", self.get_export),
            Route("/api/events", self.get_events),
            Route("/tiles/{id}/image/{z:int}/{x:int}/{y:int}", self.get_tile),
            Route("/tiles/{id}/instant/{version:int}/0/{x:int}/{y:int}", self.get_instant),
            Route("/tiles/{id}/instant-unsure/{version:int}/0/{x:int}/{y:int}", self.get_unsure),
            Route("/tiles/{id}/{layer}/{model}/{z:int}/{x:int}/{y:int}", self.get_net),
            Route("/api/images/{id}/objects", self.get_objects),
            Route("/api/view", posted(self.view), methods=["POST"]),
            Route("/api/models", self.get_models),
            Route("/api/jobs", self.get_jobs),
            Route("/api/train", posted(self.train), methods=["POST"]),
            Route("/api/jobs/{name}", self.cancel_job, methods=["DELETE"]),
            Route("/api/jobs/{name}/resume", posted(self.resume_job), methods=["POST"]),
            Route("/api/live", posted(self.update_live), methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    def close(self) -> None:
        """Write the files and end the streams."""
        self.hub.close()
        self.live.close()
        self.predictions.close()
        self.exports.close()
        self.jobs.close()
        self.annotations.close()

    # --- Page, project and images ------------------------------------------------------------------------------------

    async def page(self, request: Request) -> Response:
        """Answer the page; with the token in the address, set the cookie and remove the token from the address."""
        if "token" in request.query_params:
            answer = RedirectResponse("./", 303)
            answer.set_cookie(cookie_name(self._port), self._token, httponly=True, samesite="strict")
            return answer
        return FileResponse(STATIC / "index.html", headers=NEVER_KEPT)

    def get_project(self, request: Request) -> Response:
        """Answer aim, classes and images."""
        project, aim = self.project, self.project.aim
        counts = self.annotations.counts()
        return answer({
            "id": project.settings["id"],
            "name": project.folder.resolve().parent.name + "/" + project.folder.name,
            "version": __version__,
            "user": project.user,
            "seq": self.annotations.seq,
            "aim": project.settings.get("aim", ""),
            "aims": {name: {"title": a.title, "tool": a.tool, "classes": dict(a.classes)} for name, a in AIMS.items()},
            "tour": project.settings.get("tour") == "yes",
            "tool": aim.tool if aim else "click",
            "base": project.base,
            "classes": [{"name": c.name, "color": c.color, "kind": c.kind} for c in project.study.classes],
            "special": SPECIAL,
            "images": [
                {"id": p.id, "name": p.path.name, "role": p.role, "counts": counts.get(p.id, {})}
                for p in project.images.values()
            ],
        })  # fmt: skip

    def change_project(self, data: dict[str, Any]) -> dict[str, Any]:
        """Set the net that trainings begin with; or the aim, and with it the classes if they have no annotation."""
        if "base" in data:
            return self._change_base(data["base"])
        aim, classes = data.get("aim"), data.get("classes")
        if aim not in AIMS:
            raise InputError("aim-unknown", f"`aim` must be one of {', '.join(AIMS)}", got=repr(aim)[:40],
                             hint="choose one of these")  # fmt: skip
        classes = AIMS[aim].classes if classes is None else check_classes(classes)
        used = {name for own in self.annotations.counts().values() for name in own} - {"tags", *SPECIAL}
        if used - set(classes):
            raise InputError("classes-used", "classes with annotations must stay", got=", ".join(used - set(classes)),
                             hint="keep these classes")  # fmt: skip
        self.project.set_classes(classes)
        self.project.change(aim=aim)
        return {}

    def _change_base(self, base: Any) -> dict[str, Any]:
        """Set the net that trainings begin with, by its name; empty for the pretrained encoder alone."""
        names = ["", *(model["name"] for model in self.predictions.models() if model["base"])]
        if base not in names:
            raise InputError("model-unknown", "`base` must be a net of the list", got=repr(base)[:60],
                             hint="reload the page")  # fmt: skip
        self.project.change(base=base)
        return {"base": base}

    def get_image(self, request: Request) -> Response:
        """Answer the size, the zoom levels and the scale of an image."""
        name = request.path_params["id"]
        picture, slide = self.project.image(name), self.project.slide(name)
        width, height = slide.dimensions
        return answer({
            "id": name, "name": picture.path.name, "width": width, "height": height, "levels": levels_of(slide),
            "mpp": self.project.mpp(name), "mpp_source": slide.mpp_source, "role": picture.role,
            "tags": self.annotations.tags(name), "instant_factor": self.live.factor(name),
        })  # fmt: skip

    def change_image(self, data: dict[str, Any], id: str) -> dict[str, Any]:
        """Set the scale or the role of an image; with `all`, the scale of all images without one."""
        if "mpp" in data:
            mpp = data["mpp"]
            if type(mpp) not in (int, float):
                raise InputError("mpp-range", "`mpp` must be a number", got=repr(mpp)[:40], hint="give um/px")
            names = (
                [n for n in self.project.images if self.project.mpp(n) is None] if data.get("all") else [id]
            )
            self.project.set_mpp(names, float(mpp))
        if "role" in data:
            self.project.set_role(id, data["role"])
        return {}

    def get_thumbnail(self, request: Request) -> Response:
        """Answer a small JPEG of an image."""
        data = self.tiles.thumbnail(self.project.image(request.path_params["id"]).id)
        return Response(data, media_type="image/jpeg", headers=_KEPT)

    def get_tile(self, request: Request) -> Response:
        """Answer a tile of an image."""
        name = self.project.image(request.path_params["id"]).id
        data = self.tiles.jpeg(name, *(request.path_params[key] for key in "zxy"))
        if data is None:
            raise HTTPException(404)
        return Response(data, media_type="image/jpeg", headers=_KEPT)

    # --- Instant classifier ------------------------------------------------------------------------------------------

    def get_instant(self, request: Request, *, unsure: bool = False) -> Response:
        """Answer a tile of the instant classifier."""
        name = self.project.image(request.path_params["id"]).id
        version, x, y = (request.path_params[key] for key in ("version", "x", "y"))
        look = look_of(request)
        data = self.live.tile(name, version, x, y, unsure=unsure, least=look.least, hidden=look.hidden)
        return Response(data, media_type="image/png", headers=NEVER_KEPT if data is EMPTY else _KEPT)

    def get_unsure(self, request: Request) -> Response:
        """Answer a tile of how unsure the instant classifier is."""
        return self.get_instant(request, unsure=True)

    def update_live(self, data: dict[str, Any]) -> dict[str, Any]:
        """Fit the instant classifier again; its number comes as a message."""
        self.live.update()
        return {"version": self.live.version}

    # --- Nets --------------------------------------------------------------------------------------------------------

    def _nets_may_run(self) -> bool:
        """Return whether there are cores for a net beside a training."""
        return count_cores() >= _CORES_FOR_BOTH or self.jobs.running is None

    def get_models(self, request: Request) -> Response:
        """Answer the nets that can be shown."""
        return answer(self.predictions.models())

    def view(self, data: dict[str, Any]) -> dict[str, Any]:
        """Predict what is visible first."""
        bbox: Any
        bbox, model, epoch = data.get("bbox"), data.get("model"), data.get("epoch", 0)
        numbers = isinstance(bbox, list) and len(bbox) == 4 and all(type(v) in (int, float) for v in bbox)
        if not numbers or not isinstance(model, str) or type(epoch) is not int:
            raise HTTPException(400, json.dumps({"message": "a view needs bbox, model and epoch"}))
        self.predictions.folder_of(model)
        return self.predictions.view(model, self.project.image(data.get("image")).id, bbox, epoch)

    def get_net(self, request: Request) -> Response:
        """Answer a tile of what a net found: `net`, or `net-unsure`."""
        values = request.path_params
        name, layer, model = self.project.image(values["id"]).id, values["layer"], values["model"]
        show = request.query_params.get("show", "both")
        if layer not in ("net", "net-unsure") or show not in SHOW:
            raise HTTPException(404)
        self.predictions.folder_of(model)
        place = [values[key] for key in "zxy"]
        unsure, look = layer == "net-unsure", look_of(request)
        data = self.predictions.tile(model, name, *place, show=show, unsure=unsure, look=look)
        return Response(data, media_type="image/png", headers=NEVER_KEPT)

    def get_objects(self, request: Request) -> Response:
        """Answer the objects of a net in a box."""
        name, query = self.project.image(request.path_params["id"]).id, request.query_params
        try:
            bbox = [float(value) for value in query["bbox"].split(",")]
            limit = min(int(query.get("limit", _MAX_OBJECTS)), _MAX_OBJECTS)
            left, top, right, bottom = bbox
        except (KeyError, ValueError):
            raise HTTPException(400, json.dumps({"message": "bbox must be four numbers"})) from None
        model = query.get("model", "")
        self.predictions.folder_of(model)
        box = [left, top, right, bottom]
        return answer(self.predictions.objects(model, name, box, limit, look_of(request)))

    # --- Trainings ---------------------------------------------------------------------------------------------------

    def get_jobs(self, request: Request) -> Response:
        """Answer all trainings with their curves, the newest first."""
        return answer([self.jobs.describe(name) for name in reversed(self.jobs.names())])

    def train(self, data: dict[str, Any]) -> dict[str, Any]:
        """Start a training of all annotations, from the base net."""
        epochs = data.get("epochs")
        if epochs is not None and (type(epochs) is not int or not 1 <= epochs <= _MAX_EPOCHS):
            raise InputError("epochs-range", f"`epochs` must be 1 to {_MAX_EPOCHS}", got=repr(epochs)[:20],
                             hint="leave it out")  # fmt: skip
        self.annotations.write_files()
        return self.jobs.describe(self.jobs.start(epochs=epochs, long=data.get("long") is True))

    def cancel_job(self, request: Request) -> Response:
        """End a training."""
        self.jobs.cancel(request.path_params["name"])
        return answer({})

    def resume_job(self, data: dict[str, Any], name: str) -> dict[str, Any]:
        """Continue a training that was stopped."""
        self.jobs.resume(name)
        return {}

    # --- Annotations -------------------------------------------------------------------------------------------------

    def get_features(self, request: Request) -> Response:
        """Answer the annotations of an image."""
        name = self.project.image(request.path_params["id"]).id
        return answer({"seq": self.annotations.seq, "type": "FeatureCollection",
                       "features": self.annotations.features(name)})  # fmt: skip

    def edit(self, data: dict[str, Any]) -> dict[str, Any]:
        """Apply edits of the page that may edit."""
        session: Any
        seq: Any
        session, page, seq = data.get("session"), data.get("page"), data.get("seq")
        self._check_writer(page)
        own = (session, page)  # edits that an earlier page left behind keep its name
        newer = (
            [r for r in self.annotations.since(seq) if r["session"] not in own] if self._behind(seq) else []
        )
        if newer:
            raise HTTPException(409, json.dumps({"seq": self.annotations.seq, "edits": newer}))
        seq = self.annotations.edit(data.get("edits") or [], session=session)
        counts = self.annotations.counts()
        self.hub.publish("saved", seq=seq, counts=counts)
        return {"seq": seq, "counts": counts}

    def _behind(self, seq: Any) -> bool:
        return type(seq) is int and 0 <= seq < self.annotations.seq

    def _check_writer(self, session: Any) -> None:
        """Raise if another open page edits."""
        writer = self.hub.writer
        if writer is not None and session != writer:
            raise HTTPException(423, json.dumps({"message": "another page edits; this one reads only"}))

    def get_history(self, request: Request) -> Response:
        """Answer the last edits."""
        return answer(self.annotations.history())

    # --- Help, import and export -------------------------------------------------------------------------------------

    def get_places(self, request: Request) -> Response:
        """Answer places to annotate next."""
        seed = request.query_params.get("seed", "0")
        number = int(seed) if seed.isdigit() and len(seed) < 9 else 0
        return answer(suggest_places(self.project, self.annotations, self.live, seed=number))

    def get_worst(self, request: Request) -> Response:
        """Answer the annotations that the others contradict."""
        return answer(find_worst(self.project, self.annotations, self.live))

    def get_warnings(self, request: Request) -> Response:
        """Answer what is missing for a good training."""
        return answer(find_warnings(self.project, self.annotations))

    def compare(self, data: dict[str, Any], id: str) -> dict[str, Any]:
        """Answer the edits that would make the annotations those of a GeoJSON file."""
        return compare_import(self.project, self.annotations, self.project.image(id).id, data.get("geojson"))

    def get_annotations_zip(self, request: Request) -> Response:
        """Answer a zip of all annotations."""
        data = zip_annotations(self.project, self.annotations)
        return Response(
            data, media_type="application/zip", headers=NEVER_KEPT | _attachment("annotations.zip")
        )

    def export(self, data: dict[str, Any]) -> dict[str, Any]:
        """Start an export of what a net finds."""
        images: Any
        formats: Any
        images, formats, model = data.get("images"), data.get("formats", []), data.get("model")
        if not (_texts(images) and _texts(formats) and isinstance(model, str)):
            raise HTTPException(400, json.dumps({"message": "an export needs images, formats and model"}))
        folder = self.predictions.folder_of(model)
        started = self.exports.start(str(folder) if model.isdigit() else model, images, formats)
        self.annotations.log("export", model=model, formats=formats)
        return started

    def get_export(self, request: Request) -> Response:
        """Answer a zip of a finished export."""
        name = request.path_params["name"]
        return FileResponse(self.exports.zip(name), headers=NEVER_KEPT | _attachment(f"export-{name}.zip"))

    async def get_events(self, request: Request) -> Response:
        """Answer a stream of messages."""
        stream = self.hub.listen(request.query_params.get("session", ""))
        return StreamingResponse(stream, media_type="text/event-stream", headers=NEVER_KEPT)


def look_of(request: Request) -> Look:
    """Return which part of a result is asked for: `least`, a probability, and `hide`, positions of classes."""
    query = request.query_params
    try:
        least = float(query.get("least", 0))
        hidden = frozenset(int(number) for number in query.get("hide", "").split(",") if number)
    except ValueError:
        least, hidden = -1.0, frozenset()
    if not 0 <= least <= 1:
        raise HTTPException(400, json.dumps({"message": "`least` must be 0 to 1, and `hide` numbers"}))
    return Look(least, hidden)


def _texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def check_classes(classes: Any) -> dict[str, str]:
    """Return names and kinds of classes that a user typed.

    Raises
    ------
    InputError
        "classes-invalid".

    Examples
    --------
    >>> check_classes({" Tumor ": "tissue"})
    {'Tumor': 'tissue'}
    """
    good = isinstance(classes, dict) and 1 <= len(classes) <= 9
    good = good and all(isinstance(name, str) and 0 < len(name.strip()) <= 60 for name in classes)
    good = good and all(kind in ("object", "tissue") for kind in classes.values())
    good = good and not any(name.strip().startswith(("Region", "Ignore", "tags")) for name in classes)
    if not good:
        raise InputError("classes-invalid", "`classes` must be 1 to 9 names, each an object or a tissue",
                         got=repr(classes)[:80], hint="use short names, but not Region, Ignore or tags")  # fmt: skip
    return {" ".join(name.split()): kind for name, kind in classes.items()}


def answer(data: Any, status: int = 200) -> Response:
    """Return JSON that no cache keeps."""
    return JSONResponse(data, status, headers=NEVER_KEPT)


def posted(function: Callable[..., Any], *, max_bytes: int = _BODY_BYTES) -> Callable[..., Any]:
    """Return a route that parses a JSON object of limited size and calls a function in a thread.

    Parameters
    ----------
    function : callable
        Takes the object, and the parameters of the path by name; returns data, or a response.
    max_bytes : int
        Of the body.
    """

    async def endpoint(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > max_bytes:
                raise HTTPException(413, json.dumps({"message": f"at most {max_bytes:,} bytes can be sent"}))
        try:
            data = json.loads(bytes(body) or b"{}")
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise HTTPException(400, json.dumps({"message": "the request must be a JSON object"}))
        result = await run_in_threadpool(function, data, **request.path_params)
        return result if isinstance(result, Response) else answer(result)

    return endpoint


async def answer_error(request: Request, error: Exception) -> Response:
    """Return an error as JSON with a code and a message."""
    if isinstance(error, InputError):
        status = {"image-unknown": 404, "model-unknown": 404, "export-unknown": 404, "disk-full": 507}.get(
            error.code, 422
        )
        return answer({"code": error.code, "message": str(error)[:MESSAGE_CHARS]}, status)
    if isinstance(error, HTTPException):
        detail = error.detail if error.detail.startswith("{") else json.dumps({"message": error.detail})
        return answer(json.loads(detail), error.status_code)
    raise error


async def answer_bug(request: Request, error: Exception) -> Response:
    """Return an unexpected error as JSON; its traceback goes to the log of the program."""
    logging.getLogger(__name__).error("unexpected error", exc_info=error)
    return answer({"code": "unexpected", "message": f"the server failed: {type(error).__name__}"}, 500)
