"""Published data sets, one file each, which says how the set lies on disk and reads it.

`aflw2000`, `w300lp` and `ddfa` have 68 points with depth; `pts` (300-W's format), `ls3d_w`, `cofw` and `aflw` have
points in the image; all of these are registered by a name (`nasface.data.registry`). `aflw_lfpa`, `florence`,
`menpo3d` and `threedfaw`, whose layout is not published, are read from the plain layout (`nasface.data.plain`).
"""
