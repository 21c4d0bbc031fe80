"""`python -m polyscribe`: the command line."""

from polyscribe.commands.main import main

main()
