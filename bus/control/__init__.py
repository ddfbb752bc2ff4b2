"""What operators and the elected control process do: the health of the bus, catalogue writes."""
