"""What the server answers: mattes by hand-computed values, and one line for whatever is wrong."""

from __future__ import annotations

import io
import json
import re
import socket
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from asking import ask, bands, bomb, form, get, head_of, metric, png, raw, send
from PIL import Image

from deepmatte.scoring.service.limits import Limits

IMAGE, TRIMAP = bands()
FIELDS = {"image": png(IMAGE), "trimap": png(TRIMAP)}
MASK = np.where(TRIMAP == 255, 255, 0).astype(np.uint8)
GREY = np.full((8, 8), 99, np.uint8)


def test_the_trivial_matte_is_half_where_the_trimap_is_unknown(server) -> None:
    reply = ask(server.port, {**FIELDS, "method": "trivial"})
    assert (reply.pixels == TRIMAP).all(), "0, 0.5 and 1 at full scale are the trimap's own greys"
    assert (ask(server.port, FIELDS).pixels == TRIMAP).all(), "the first method is the default"


def test_a_mask_becomes_a_trimap_of_the_width_that_is_asked_for(server) -> None:
    fields = {"image": png(IMAGE), "mask": png(MASK), "width": "2", "output": "trimap"}
    edge = IMAGE.shape[1] - IMAGE.shape[1] // 3
    expected = MASK.copy()
    expected[:, edge - 2 : edge + 2] = 128
    assert (ask(server.port, fields).pixels == expected).all()


def test_an_alpha_channel_and_sixteen_bits_of_the_photograph_are_read(server) -> None:
    for picture in (np.dstack([IMAGE, TRIMAP]), IMAGE[..., 0].astype(np.uint16) * 257):
        assert (ask(server.port, {**FIELDS, "image": png(picture)}).pixels == TRIMAP).all()


REFUSED = {
    "no photograph": ({"trimap": FIELDS["trimap"]}, 422, "image: is missing"),
    "no hint": ({"image": FIELDS["image"]}, 422, "send one of trimap, mask, scribbles, box"),
    "two hints": ({**FIELDS, "box": "1,1,3,3"}, 422, "send one of trimap, mask, scribbles, box"),
    "a path": ({**FIELDS, "image": "/etc/passwd"}, 422, "image: send a file, not a text"),
    "an address": ({**FIELDS, "url": "http://127.0.0.1:9/x.png"}, 422, "url: there is no such field"),
    "twice": ({**FIELDS, "image#2": FIELDS["image"]}, 422, "image: is there twice"),
    "method": ({**FIELDS, "method": "trivail"}, 422, "did you mean `trivial`?"),
    "a run of one's own": ({**FIELDS, "method": "../../run"}, 422, "there is no such method"),
    "output": ({**FIELDS, "output": "gif"}, 422, "choose one of alpha, cutout, trimap"),
    "width": ({**FIELDS, "width": "-3"}, 422, "'-3' is neither auto nor a number of pixels"),
    "a text as file": ({**FIELDS, "method": b"trivial"}, 422, "method: send a text, not a file"),
    "box of words": ({"image": FIELDS["image"], "box": "a,b"}, 422, "'a,b' is not X,Y,WIDTH,HEIGHT"),
    "empty box": ({"image": FIELDS["image"], "box": "3,3,0,4"}, 422, "box 3,3,0,4: is empty"),
    "box beyond": ({"image": FIELDS["image"], "box": "3,3,99,4"}, 422, "reaches beyond the picture of 24x16"),
    "another size": ({**FIELDS, "trimap": png(GREY)}, 422, "trimap has 8x8 pixels, but image 24x16"),
    "no trimap": ({**FIELDS, "trimap": png(MASK)}, 422, "trimap: this trimap has no unknown pixels"),
    "a flat mask": ({"image": png(IMAGE), "mask": png(GREY * 0)}, 422, "image 24x16"),
    "no strokes": ({"image": png(GREY), "scribbles": png(GREY)}, 422, "scribbles: has no white strokes"),
    "no picture": ({**FIELDS, "image": b"GIF89a"}, 422, "image: the file is no picture"),
    "an empty file": ({**FIELDS, "image": b""}, 422, "image: the file is empty"),
    "half a picture": ({**FIELDS, "image": FIELDS["image"][:60]}, 422, "image: can't be read"),
    "a bomb": ({**FIELDS, "image": bomb(40_000, 40_000)}, 413, "more pixels than the 0.3 million"),
    "a small bomb": ({**FIELDS, "trimap": bomb(700, 500)}, 413, "trimap: has more pixels"),
    "print colours": (
        {**FIELDS, "image": png(Image.new("CMYK", (24, 16)), "JPEG")},
        422,
        "pixels of type CMYK are not read",
    ),
    "a long text": ({**FIELDS, "method": "x" * 5000}, 422, "the form can't be read"),
    "many fields": ({**FIELDS, **{f"method#{i}": "kmeans" for i in range(9)}}, 422, "Too many fields"),
    "codes": ({**FIELDS, "method": "\x1b[2J\n"}, 422, "method=\\x1b[2J"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(server, name: str) -> None:
    fields, status, words = REFUSED[name]
    reply = ask(server.port, fields)
    assert (reply.status, words in reply.line) == (status, True), reply.line


def test_one_pixel_is_matted(server) -> None:
    one = np.full((1, 1), 128, np.uint8)
    assert ask(server.port, {"image": png(one), "trimap": png(one)}).pixels.tolist() == [[128]]


def test_what_is_no_form_is_refused_in_one_line(server) -> None:
    body, kind = form(FIELDS)
    for sent, content_type in (
        (b"hello", "text/plain"),
        (b"hello", "multipart/form-data"),
        (b"hello", "multipart/form-data; boundary=x"),
        (body[:-300], kind),
        (body.replace(b"form-data; name", b"form-data; nine"), kind),
        (b"", kind),
    ):
        reply = send(server.port, "POST", "/matte", sent, Content_Type=content_type)
        assert reply.status == 422
        assert reply.line
    assert get(server.port, "/matte").status == 405
    assert "POST /matte" in get(server.port, "/nowhere").line
    assert get(server.port, "/examples/..%2f..%2fpage.js").status == 404
    assert raw(server.port, b"\x16\x03\x01 no HTTP\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert json.loads(get(server.port, "/health").body)["status"] == "ok"


def test_a_request_that_is_too_long_is_refused_though_it_does_not_say_so(server) -> None:
    long = {**FIELDS, "image": bytes(400_000)}
    assert "longer than 0.3 MB" in ask(server.port, long).line
    body, kind = form(long)
    head = head_of(kind, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:200_000], body[200_000:]))
    answer = raw(server.port, head + chunks + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


def test_nothing_of_a_request_is_written_to_the_disk(start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts above a megabyte are, by the library's own parser."""

    def refuse(*_: object) -> None:
        raise AssertionError("a file is made")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", refuse)
    large = png(Image.new("RGB", (640, 600)), "BMP")
    assert len(large) > 2**20
    trimap = np.full((600, 640), 128, np.uint8)
    assert (ask(start(Limits()).port, {"image": large, "trimap": png(trimap)}).pixels == 128).all()


def test_requests_beyond_the_queue_are_told_to_come_later(server) -> None:
    server.worker.held.clear()
    with ThreadPoolExecutor(4) as threads:
        here = [threads.submit(ask, server.port, FIELDS) for _ in range(2)]
        while json.loads(get(server.port, "/health").body) != {"status": "ok", "working": 1, "waiting": 1}:
            time.sleep(0.01)
        before = metric(server.port, 'deepmatte_requests_total{status="429"}')
        replies = [ask(server.port, FIELDS) for _ in range(3)]
        assert [reply.status for reply in replies] == [429] * 3
        assert int(replies[0].headers["retry-after"]) > 0
        assert replies[0].line.startswith("2 requests are here already")
        assert metric(server.port, 'deepmatte_requests_total{status="429"}') == before + 3
        server.worker.held.set()
        assert [reply.result().status for reply in here] == [200, 200]


def test_who_has_gone_while_waiting_is_not_worked_for(server) -> None:
    server.worker.held.clear()
    name = 'deepmatte_matted_total{method="trivial"}'
    done = metric(server.port, name)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(ask, server.port, FIELDS)
        while metric(server.port, "deepmatte_working") != 1:
            time.sleep(0.01)
        with pytest.raises(TimeoutError):
            ask(server.port, FIELDS, timeout=0.1)
        server.worker.held.set()
        assert first.result().status == 200
    while metric(server.port, "deepmatte_waiting"):
        time.sleep(0.01)
    assert metric(server.port, name) == done + 1


def test_a_request_that_is_broken_off_is_no_defect(server, capfd: pytest.CaptureFixture[str]) -> None:
    body, kind = form(FIELDS)
    name = 'deepmatte_requests_total{status="499"}'
    before = metric(server.port, name)
    with socket.create_connection(("127.0.0.1", server.port), 10) as line:
        line.sendall(head_of(kind, len(body)) + body[:50])
    while metric(server.port, name) == before:
        time.sleep(0.01)
    assert capfd.readouterr().err == ""


def test_a_request_that_arrives_too_slowly_frees_its_place(start) -> None:
    port = start(Limits(waiting=1, seconds=0.2)).port
    body, kind = form(FIELDS)
    with socket.create_connection(("127.0.0.1", port), 10) as line:
        line.sendall(head_of(kind, len(body)) + body[:50])
        assert line.recv(1000).startswith(b"HTTP/1.1 408")
    assert metric(port, "deepmatte_waiting") == 0
    assert ask(port, FIELDS).status == 200


def test_pages_of_other_sites_may_not_ask(server, start) -> None:
    here = f"127.0.0.1:{server.port}"
    assert ask(server.port, FIELDS, Origin=f"http://{here}").status == 200
    assert ask(server.port, FIELDS, Origin="http://evil.example").status == 403
    assert ask(server.port, FIELDS, Origin="null").status == 403
    assert get(server.port, "/methods", Host="evil.example").status == 403, "a name that leads here"
    assert get(start(Limits(), only_here=False).port, "/methods", Host="mattes.example").status == 200


def test_the_page_asks_nobody_else_and_is_all_there(server) -> None:
    page = get(server.port, "/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    named = re.findall(r'(?:src|href)="([\w./]+)"', page.body.decode())
    named += re.findall(r'from "\./(\w+\.js)"', get(server.port, "/page.js").body.decode())
    assert {"page.css", "page.js", "editor.js", "viewer.js"} <= set(named)
    for name in named:
        found = get(server.port, f"/{name}")
        assert found.status == 200
        assert b"//" not in re.sub(rb"(^|\s)//[^\n]*", b"", found.body), f"{name} has an address"
    for one in json.loads(get(server.port, "/methods").body)["examples"]:
        found = get(server.port, f"/examples/{one['name']}")
        assert found.headers["content-type"] in ("image/png", "image/jpeg")
        assert Image.open(io.BytesIO(found.body)).size[0] >= one["box"][0] + one["box"][2]


def test_the_description_names_every_field_that_a_request_may_have(server) -> None:
    described = json.loads(get(server.port, "/openapi.json").body)["paths"]["/matte"]["post"]
    schema = described["requestBody"]["content"]["multipart/form-data"]["schema"]
    known = ask(server.port, {**FIELDS, "nothing_like_it": "1"}).line.partition("the fields are ")[2]
    assert set(schema["properties"]) == set(known.split(", "))
    assert schema["properties"]["method"]["enum"] == ["trivial", "kmeans"]


def test_metrics_are_what_prometheus_reads(server) -> None:
    text = get(server.port, "/metrics").body.decode()
    rows = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r'[a-z_]+(\{[a-z]+="[^"]*"\})? [0-9.e+-]+', row) for row in rows)
    names = {row.partition("{")[0].partition(" ")[0] for row in rows}
    declared = re.findall(r"^# TYPE (\S+) (counter|gauge)$", text, re.M)
    assert names <= {name for name, _ in declared}
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in declared)
