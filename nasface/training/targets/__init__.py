"""One file for each target representation: the task that trains a network to regress it, with its losses.

`uv` position maps; `parameters` of a morphable model (losses in `parameter_losses`, look-ahead in `meta_joint`);
`landmark_vector`; `heatmap` (drawn and read by `heatmap_coding`, coherent over `views`); `volume` (drawn by
`volume_drawing`, with `wild_faces` that have no depth).
"""
