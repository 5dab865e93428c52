"""Faces that are drawn, with exact labels: the embedded data set and short videos.

- `synthetic` draws sets of faces from the embedded head (`build_synthetic`), `painter` and `painting` their pictures;
- `building` makes any set face by face in several processes, in a folder that survives a kill;
- `video` turns a still face into a short video; `preview` and `video_preview` draw contact sheets of both.
"""
