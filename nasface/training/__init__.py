"""Training on Lightning: the supernet's task, and one task for each target representation.

`face_task` is what all tasks share, `supernet` trains the children of a supernet, `targets` holds the tasks of single
networks and `tasks` chooses among them; `fit` runs a training and resumes it exactly, `optimizers` makes its optimizer
and schedule, `uv_target` its position maps. Every task ends in a `prediction.FacePrediction`.
"""
