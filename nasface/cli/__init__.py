"""The `nasface` command: one file a command, named in `commands`.

`main` runs them, `parser` reads their arguments and `settings_files` the files that these name, `messages` words what
is wrong with them. Only this room gives advice about flags.
"""
