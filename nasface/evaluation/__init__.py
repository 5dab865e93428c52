"""Scores of networks: trained ones on face sets, and members of a space on a trained supernet.

`inference` runs a network over faces, `test_faces` keeps what it did there; `supernet` is the evaluator of a search,
`costs` what a member costs and the limits on it; `video_stability` measures jitter on short videos, `evolution_steps` a
recurrent network's steps.
"""
