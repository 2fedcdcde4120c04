"""`python -m sharewise` is the command line."""

from sharewise.cli import main

main()
