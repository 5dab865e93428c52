"""The multi-path architecture space and its path samplers. No tensors.

`space` has the space and its architectures, `catalogue` and `record` read and write their files, `presets` are
well-known networks; `counting`, `neighbours` and `random_members` count, change and draw members; `path_samplers` draw
the children of a supernet's step, by random `topologies`.
"""
