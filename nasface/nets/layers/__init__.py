"""Blocks that networks are built from, one idea for each file: (B, C, H, W) in and out unless said otherwise.

`blocks` has those of the multi-path networks (HPM, the change of scale, node sums); the others are of the papers'
networks. `batch_norm` is the norm of all that train in the layout channels_last. They know nothing of faces.
"""
