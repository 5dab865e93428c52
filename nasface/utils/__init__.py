"""What every room may use and what uses none: `UserError`, the one exception that a user reads; files read safely and
written whole (`files`, `yaml_files`, `npy`, `mat`, `torch7`, `images`); one lock, one worker pool, one runner of
commands and the signals that end them (`lock`, `worker_pool`, `child_process`, `signals`); registries, resources,
cores and progress bars.
"""

from nasface.utils.errors import UserError

__all__ = ["UserError"]
