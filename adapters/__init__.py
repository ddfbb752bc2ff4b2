"""Adapters that ship with the bus: one module per source system, met by entry point (group `bus.adapters`)."""
