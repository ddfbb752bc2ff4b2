"""The data path: pure stages, lanes, and the one loop that does their I/O."""
