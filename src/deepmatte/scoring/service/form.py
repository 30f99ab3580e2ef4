"""Reading a request: a form of several parts (multipart/form-data), within its limits and in memory alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from deepmatte.errors import did_you_mean, visible
from deepmatte.scoring.service.limits import Limits, RefusedError
from deepmatte.scoring.service.messages import HINTS, OUTPUTS, Order

FILES = ("image", *(hint for hint in HINTS if hint != "box"))
TEXTS = ("box", "method", "output", "width")
"""The fields of the form: pictures, and texts."""

MOST_TEXT = 1024
"""Bytes of a field of text."""


class _InMemory(MultiPartParser):
    """Starlette's parser writes parts above a megabyte to the disk; this one never does."""

    spool_max_size = 0  # to the library, no limit


async def read_order(request: Request, limits: Limits, methods: Collection[str]) -> Order:
    """Return what a request asks for; the first of ``methods`` is taken where it names none.

    Raises:
        RefusedError: 408, 413, 422 or 499, and what is wrong.
    """
    try:
        async with asyncio.timeout(limits.seconds):
            form = await _read_form(request, limits)
    except TimeoutError:
        raise RefusedError(408, f"the request did not arrive within {limits.seconds:.4g} s") from None
    except ClientDisconnect:
        raise RefusedError(499, "the request was broken off") from None
    fields = await _fields(form)
    hints = [hint for hint in HINTS if hint in fields]
    if "image" not in fields:
        raise RefusedError(422, "image: is missing; send the photograph in this field")
    if len(hints) != 1:
        raise RefusedError(422, f"send one of {', '.join(HINTS)}; they say where the foreground is")
    method, output = fields.get("method", next(iter(methods))), fields.get("output", "alpha")
    for field, value, choices in (("method", method, methods), ("output", output, OUTPUTS)):
        if value not in choices:
            meant = did_you_mean(str(value), choices) or f"; choose one of {', '.join(choices)}"
            raise RefusedError(422, f"{field}={visible(value)}: there is no such {field}{meant}")
    (hint,) = hints
    texts = {"method": method, "output": output, "width": fields.get("width", "auto")}
    return Order(fields["image"], hint, fields[hint], **texts)  # type: ignore[arg-type]  # kinds are checked


async def _read_form(request: Request, limits: Limits) -> FormData:
    """Return the parts of a request's body.

    Raises:
        RefusedError: 413, it is too long, or 422, it is no such form.
    """
    too_long = RefusedError(413, f"the request is longer than {limits.megabytes:.4g} MB; send a smaller file")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:18]) > limits.num_bytes:
        raise too_long

    async def bounded() -> AsyncGenerator[bytes, None]:
        total = 0
        async for chunk in request.stream():
            total += len(chunk)
            if total > limits.num_bytes:
                raise too_long
            yield chunk

    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise RefusedError(422, "the body is no form; send multipart/form-data with a field `image`")
    most = {"max_files": len(FILES), "max_fields": len(TEXTS), "max_part_size": MOST_TEXT}
    try:
        return await _InMemory(request.headers, bounded(), **most).parse()
    except (MultiPartException, FormParserError) as error:
        reason = visible(getattr(error, "message", error))[:200]
        raise RefusedError(422, f"the form can't be read ({reason})") from None


async def _fields(form: FormData) -> dict[str, bytes | str]:
    """Return what the fields of a form hold.

    Raises:
        RefusedError: 422, a field is unknown, there twice, or of the wrong kind.
    """
    fields: dict[str, bytes | str] = {}
    for name, value in form.multi_items():
        if name not in (*FILES, *TEXTS):
            known = (*FILES, *TEXTS)
            meant = did_you_mean(name, known) or f"; the fields are {', '.join(known)}"
            raise RefusedError(422, f"{visible(name)[:80]}: there is no such field{meant}")
        if name in fields:
            raise RefusedError(422, f"{name}: is there twice")
        if isinstance(value, UploadFile) != (name in FILES):
            kinds = "a text, not a file" if name in TEXTS else "a file, not a text"
            raise RefusedError(422, f"{name}: send {kinds}, in this field")
        fields[name] = await value.read() if isinstance(value, UploadFile) else value
    await form.close()
    return fields
