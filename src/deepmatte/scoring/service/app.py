"""The pages of the server: mattes, the page to try them on, health and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse

import deepmatte
from deepmatte.scoring.service import metrics
from deepmatte.scoring.service.desk import Desk
from deepmatte.scoring.service.form import read_order
from deepmatte.scoring.service.guard import Guard
from deepmatte.scoring.service.limits import RefusedError
from deepmatte.scoring.service.messages import HINTS, OUTPUTS
from deepmatte.scoring.service.pages import EXAMPLES, FILES, example, page

WARNING = "Deepmatte-Warning"
"""The header of an answer that says what the method warned of."""


def make_app(desk: Desk, methods: Sequence[str], only_here: bool = True) -> Guard:
    """Return the server's application.

    Args:
        desk: hands requests to processes.
        methods: the names that a request may choose from; the first is taken where it names none.
        only_here: whether only this machine reaches the server (`Guard`).
    """
    # The pages of FastAPI's own documentation load scripts from elsewhere; its description needs none.
    app = FastAPI(title="deepmatte", version=deepmatte.__version__, docs_url=None, redoc_url=None)
    guard = Guard(app, only_here)

    @app.post("/matte", openapi_extra=_description(methods), response_class=Response)
    async def matte(request: Request) -> Response:
        """Answer a photograph and its trimap, mask, strokes or box by a PNG file."""
        with desk.place():
            order = await read_order(request, desk.limits, methods)
            answer = await desk.answer(order, request.is_disconnected)
        if isinstance(answer.content, str):
            raise RefusedError(answer.status, answer.content)
        notes = "; ".join(answer.notes).encode("ascii", "backslashreplace").decode()
        return Response(answer.content, media_type="image/png", headers={WARNING: notes} if notes else {})

    @app.get("/methods")
    async def choices() -> dict[str, Any]:
        """Return what a request may choose, its limits, and the page's examples."""
        limits = desk.limits
        bounds = {"bytes": limits.num_bytes, "pixels": limits.num_pixels, "seconds": limits.seconds}
        return {"methods": list(methods), "limits": bounds, "examples": EXAMPLES}

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Say that the server is up, and how busy it is."""
        return {"status": "ok", "working": desk.num_working, "waiting": desk.num_here - desk.num_working}

    @app.get("/metrics")
    async def counted() -> PlainTextResponse:
        """Return what the server counts, for Prometheus."""
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return PlainTextResponse(metrics.text(guard.statuses, desk), media_type=kind)

    @app.get("/examples/{name}", include_in_schema=False)
    async def picture(name: str) -> Response:
        return Response(example(name), media_type="image/png" if name.endswith(".png") else "image/jpeg")

    for path in FILES:
        app.add_route(path, page, include_in_schema=False)
    _answer_errors_in_one_line(app)
    return guard


def _answer_errors_in_one_line(app: FastAPI) -> None:
    """Let every error be a line of JSON, ``{"error": ...}``."""

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> JSONResponse:
        later = {"Retry-After": "5"} if error.status == 429 else None
        return JSONResponse({"error": str(error)}, error.status, later)

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> JSONResponse:
        line = f"{error.detail}: there are GET / and POST /matte, GET /methods, /health and /metrics"
        return JSONResponse({"error": line}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def defect(_: Request, error: Exception) -> JSONResponse:
        line = (
            f"a defect of deepmatte ({type(error).__name__}), which the server's own output tells; report it"
        )
        return JSONResponse({"error": line}, 500)


def _description(methods: Sequence[str]) -> dict[str, Any]:
    """Return the form of a request for ``/openapi.json``."""
    file = {"type": "string", "format": "binary"}
    fields: dict[str, Any] = {"image": {**file, "description": "the photograph"}}
    for name, about in HINTS.items():
        fields[name] = {**({"type": "string"} if name == "box" else file), "description": about}
    fields["method"] = {"type": "string", "enum": list(methods), "default": methods[0]}
    fields["output"] = {"type": "string", "enum": list(OUTPUTS), "default": "alpha"}
    fields["width"] = {"type": "string", "default": "auto", "description": "of the unknown band, in pixels"}
    schema = {"type": "object", "required": ["image"], "properties": fields}
    line = {"type": "object", "properties": {"error": {"type": "string"}}}
    refusals = {
        code: {"description": about, "content": {"application/json": {"schema": line}}}
        for code, about in {
            "408": "it did not arrive in time",
            "413": "too many bytes or pixels",
            "422": "something does not fit",
            "429": "too many requests are here",
            "503": "no matte within the time limit",
        }.items()
    }
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}},
        "responses": {"200": {"description": "a PNG file", "content": {"image/png": {}}}, **refusals},
    }
