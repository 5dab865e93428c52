"""The `nasface` command: one file a command, named in `commands`; `main` runs them, `parser` reads their arguments."""
