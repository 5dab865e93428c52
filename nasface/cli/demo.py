"""`nasface demo`."""

from __future__ import annotations

import webbrowser

from jsonargparse.typing import NonNegativeInt

from nasface.cli.command import Command


def demo(
    weights: str = "nasface-m",
    port: NonNegativeInt = 7860,
    open: bool = False,
    arch: str | None = None,
    model: str | None = None,
    detector: str | None = None,
) -> None:
    """Serve a page for this machine alone: a photograph or the webcam gives overlay, pose and a mesh to turn.

    Args:
        weights: as in predict.
        port: port to listen on, at 127.0.0.1 only; 0 takes a free one.
        open: open the page in a browser.
        arch: as in predict.
        model: as in predict.
        detector: as in predict.
    """
    from nasface.inference.demo.server import DemoServer
    from nasface.inference.load import load_aligner

    aligner = load_aligner(weights, arch=arch, model=model, detector=detector)
    with DemoServer(aligner, port) as server:
        print(f"open     {server.url} (Ctrl-C ends it; no picture leaves this machine)", flush=True)
        if open:
            webbrowser.open(server.url)
        server.serve_forever()


COMMAND = Command(demo)
