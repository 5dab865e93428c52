"""Searching a space by ask and tell, without knowledge of networks: a `Strategy` proposes members, somebody says what
they are worth.

`study` records a search by one process, `workers` one by many (`local_workers` starts them here), `storage` opens the
record; `strategies` has one strategy a file, found by `registry`; `objectives`, `budget`, `coding` and `black_box` are
what several of them share.
"""

from nasface.search.strategy import Outcome, Proposal, Strategy

__all__ = ["Outcome", "Proposal", "Strategy"]
