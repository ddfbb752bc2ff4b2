"""What ships for tests: a conformance kit for adapters, and real servers as pytest fixtures."""
