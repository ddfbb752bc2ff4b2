"""Shuniu (枢纽): an event-driven data-exchange bus for government data."""

__version__ = "0.1.0"
