"""The demo's server: on loopback only, for pages that it served itself."""

from __future__ import annotations

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import cv2
import numpy as np

from nasface.inference.aligner import FaceAligner
from nasface.inference.face import Face
from nasface.inference.following import FaceFollower
from nasface.inference.overlay import draw_faces
from nasface.utils.errors import UserError, first_line
from nasface.utils.images import decode_image

HOST = "127.0.0.1"
LARGEST = 32 * 2**20
"""Bytes of the largest picture that is taken."""
_SHOWN = 1280  # pixels of the longer side of the pictures that are sent back
_CALM = 0.5  # share of the picture before in the webcam's shapes
_PAGE = Path(__file__).with_name("page.html")
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline';"
    " img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


class DemoServer(ThreadingHTTPServer):
    """Serves the page at `url`: `/predict` takes a picture's file as the body of a POST and answers with its faces;
    `/predict?live` takes the next picture of the webcam, whose faces are followed.

        >>> DemoServer(nasface.load("nasface-s")).serve_forever()

    Args:
        aligner: finds and aligns the faces.
        port: to listen on; 0 takes a free one.

    Raises:
        UserError: the port is taken, or no port.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, aligner: FaceAligner, port: int = 0) -> None:
        self.aligner, self.follower, self.busy = aligner, FaceFollower(aligner, share=_CALM), Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", "they end at 65535")
            raise UserError(f"cannot listen on port {port} ({reason}): give another by --port") from None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing of a browser that has gone away."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}"

    def answer(self, content: bytes, live: bool) -> dict[str, Any]:
        """What the page shows of a picture's file."""
        with TemporaryDirectory(prefix="nasface-demo-") as folder:
            path = Path(folder) / "picture"
            path.write_bytes(content)
            try:
                image = decode_image(path, upright=True)
            except UserError as error:
                raise UserError(str(error).replace(f"{path}", "this file")) from None
        with self.busy:  # a network is not for several threads
            faces = self.follower(image) if live else self.aligner.predict(image)
        drawn = {"overlay": _jpeg(draw_faces(image, faces))} | ({} if live else {"photo": _jpeg(image)})
        size = {"width": image.shape[1], "height": image.shape[0]}
        return {**size, **drawn, "faces": [_described(face) for face in faces]}


def _described(face: Face) -> dict[str, Any]:
    mesh = {}
    if face.has_mesh:
        assert face.image is not None
        vertices = face.vertices
        place = (vertices[:, :2] + 0.5) / face.image.shape[1::-1]
        mesh = {
            "vertices": _base64((vertices * [1, -1, 1]).astype("<f4")),
            "places": _base64(place.astype("<f4")),
            "triangles": _base64(face.triangles.astype("<u2")),
        }
    return face.as_dict() | mesh


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def _jpeg(image: np.ndarray) -> str:
    ratio = min(1.0, _SHOWN / max(image.shape[:2]))
    if ratio < 1:
        size = [max(1, round(ratio * side)) for side in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    content = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    return "data:image/jpeg;base64," + _base64(content)


class _Handler(BaseHTTPRequestHandler):
    server: DemoServer
    timeout = 30

    def do_GET(self) -> None:
        if not self._from_here():
            return
        if self.path == "/":
            self._send(200, _PAGE.read_bytes(), "text/html; charset=utf-8")
        else:
            self._send(404, b"there is only /\n", "text/plain")

    def do_POST(self) -> None:
        if not self._from_here():
            return
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if self.path not in ("/predict", "/predict?live") or not 0 < length <= LARGEST:
            self.close_connection = True
            self._say(400, f"give /predict a picture of at most {LARGEST // 2**20} MiB")
            return
        try:
            found = self.server.answer(self.rfile.read(length), self.path.endswith("?live"))
        except UserError as error:
            self._say(400, str(error))
            return
        except Exception as error:  # of ours: the page says so, and the next picture may do
            self._say(500, f"{type(error).__name__}: {first_line(error)}; this is a mistake of nasface")
            return
        self._send(200, json.dumps(found, allow_nan=False).encode(), "application/json")

    def _from_here(self) -> bool:
        """Whether the request is of the server's own page: other sites may ask a browser to call loopback, too."""
        names = [f"{name}:{self.server.server_port}" for name in (HOST, "localhost")]
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in names and (origin is None or origin.removeprefix("http://") in names):
            return True
        self.close_connection = True
        self._say(403, "only this machine's own page may ask")
        return False

    def _say(self, status: int, message: str) -> None:
        self._send(status, json.dumps({"error": message}).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what is uploaded is nobody's business."""
