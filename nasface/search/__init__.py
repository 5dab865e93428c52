"""Search strategies, the study that records them, and the evaluation of a child network."""
