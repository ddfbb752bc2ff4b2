"""The only place that speaks to Kafka's clients: embedded broker, admin, clients, compacted state."""
