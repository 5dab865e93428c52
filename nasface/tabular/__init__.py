"""The table of trained members: a small space of which every member was trained on its own, so that a search takes
milliseconds.

`table` is the record and its Parquet file, `evaluator` scores a search's members on it; `training` trains many members
alike, `build` keeps what a long building has done. `nasface.pipelines.build_table` puts those two together.
"""

from nasface.tabular.evaluator import MemberTableEvaluator
from nasface.tabular.table import MemberTable, TrainedMember, load_table

__all__ = ["MemberTable", "MemberTableEvaluator", "TrainedMember", "load_table"]
