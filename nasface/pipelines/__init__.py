"""What the commands do, one function each, from settings to files; the only room that puts the others together.

`search` trains a supernet (`supernet`) and searches it, `search_trainings` searches by `short_trainings` of
`candidates` within `member_limits`, `search_table` a table; `finalists` decides among the best members; `retrain`
trains one network, `compare` many, `build_table` every member of a small space. `workspace` has the faces that all of
them work on, `workers` their processes, and `architectures` what `--arch` names.
"""
