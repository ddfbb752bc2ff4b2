"""Confluent-compatible registries keep this contract; BUS_REGISTRY_URL names another one to try."""
