"""A schema registry over the `_schemas` topic that Confluent's clients take for their own."""
