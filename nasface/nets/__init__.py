"""Networks: images (B, 3, S, S) to UV position maps, heatmaps, volumes or parameters of a face.

`network` says what all have in common, `multipath` has the supernet and its members, `baselines` the papers' networks,
which `registry` knows by name. `uv_head` writes position maps, `layers` holds the blocks, `cost` counts, and `weights`
reads and writes files.
"""
