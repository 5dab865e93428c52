"""`python -m nasface` is the `nasface` command."""

from nasface.cli.main import main

if __name__ == "__main__":
    main()
