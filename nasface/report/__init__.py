"""What finished runs have left, as tables, figures and one page: nothing here runs a network.

`run_records` reads the folders of runs, `page` writes the HTML page of them (`charts`, `figures`); `tables`
has the field's tables as text and Markdown; `faces`, `evolution`, `selection`, `pareto`, `ced` and `drawing` draw
figures of arrays.
"""

import logging

from nasface.report.tables import NMERow, text_table, yaw_table

__all__ = ["NMERow", "text_table", "yaw_table"]

# Where HOME cannot be written, matplotlib says at every start which other folder it takes.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
