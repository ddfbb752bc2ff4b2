"""One module per subcommand of `bus`; each defines `command`."""
