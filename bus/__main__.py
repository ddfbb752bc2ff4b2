"""`python -m bus` is the command `bus`."""

from bus.cli import main

main()
