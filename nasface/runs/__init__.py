"""A run: the folder in which a command keeps its settings, checkpoints, results and costs, and how a command finds it
again to go on; `metrics` is its file of curves."""
