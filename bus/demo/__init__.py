"""The demo: a department's real database to a real subscriber, with a proof that shares no code with the data path."""
