"""Which version of the program this is; the build takes it from here."""

__version__ = "0.1.0"

VERSION = __version__
