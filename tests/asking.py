"""Asking a server of `deepmatte serve` as a stranger's program does: forms and raw bytes over HTTP."""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
import struct
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image

BOUNDARY = "-- border --"


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def line(self) -> str:
        """The line of a refusal: JSON with one key, and no line break in it."""
        (key,) = said = json.loads(self.body)
        assert key == "error"
        assert "\n" not in said[key]
        return said[key]

    @property
    def pixels(self) -> np.ndarray:
        assert self.status == 200, self.body
        assert self.headers["content-type"] == "image/png"
        return np.asarray(Image.open(io.BytesIO(self.body)))


def form(fields: Mapping[str, str | bytes]) -> tuple[bytes, str]:
    """Return the body of a form, whose fields of bytes are files, and its kind."""
    parts = []
    for name, value in fields.items():
        name, _, _ = name.partition("#")  # so that a field can be there twice
        kind = '; filename="x"' if isinstance(value, bytes) else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{kind}\r\n\r\n'
        parts.append(head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode(), f'multipart/form-data; boundary="{BOUNDARY}"'


def head_of(kind: str, length: int) -> bytes:
    """Return the head of a request whose body is a form, up to the empty line."""
    lines = ("POST /matte HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", f"Content-Length: {length}")
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def ask(port: int, fields: Mapping[str, str | bytes], timeout: float = 600, **headers: str) -> Reply:
    """Post a form to ``/matte``."""
    body, kind = form(fields)
    return send(port, "POST", "/matte", body, timeout, **{"Content-Type": kind, **headers})


def send(
    port: int, verb: str, path: str, body: bytes | None = None, timeout: float = 600, **headers: str
) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(verb, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def get(port: int, path: str, **headers: str) -> Reply:
    return send(port, "GET", path, **headers)


def metric(port: int, name: str) -> float:
    """Return a number of ``/metrics``, by its name and labels."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", get(port, "/metrics").body.decode(), re.M)
    return float(found[1]) if found else 0.0


def raw(port: int, sent: bytes, timeout: float = 10) -> bytes:
    """Send bytes as they are, and return what comes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))


def png(pixels: np.ndarray | Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(stream, kind)
    return stream.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of some fifty bytes whose header promises that many pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9)))
        + chunk(b"IEND", b"")
    )


def bands(width: int = 24, height: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """A picture, dark on the left and light on the right, and its trimap of three bands."""
    column = np.linspace(20, 235, width).astype(np.uint8)
    image = np.repeat(np.tile(column, (height, 1))[..., None], 3, axis=2)
    trimap = np.full((height, width), 128, np.uint8)
    trimap[:, : width // 3], trimap[:, -(width // 3) :] = 0, 255
    return image, trimap
