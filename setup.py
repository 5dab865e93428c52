"""The packages: spaces and experiments lie at the top of the repository, where users find them, and a wheel carries
them inside of the package. pyproject.toml says all else; it can't both find packages and map folders to them."""

from setuptools import find_packages, setup

_FOLDERS = ("search_spaces", "experiments")

setup(
    packages=[*find_packages(include=["nasface", "nasface.*"]), *(f"nasface.{folder}" for folder in _FOLDERS)],
    package_dir={f"nasface.{folder}": folder for folder in _FOLDERS},
)
