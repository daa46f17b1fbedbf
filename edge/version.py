"""Which version of the program this is."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("storewarden")
except PackageNotFoundError:  # run from a tree that was never installed
    VERSION = "0"
