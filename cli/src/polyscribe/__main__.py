"""`polyscribe`, and `python -m polyscribe`: the command line."""

import sys
from importlib import import_module

from polyscribe import __version__


def main() -> None:
    """Run the command that was typed. The version is printed before anything heavy is loaded."""
    if sys.argv[1:] == ["--version"]:
        print(f"polyscribe {__version__}")
        return
    import_module("polyscribe.commands.main").main()


if __name__ == "__main__":
    main()
