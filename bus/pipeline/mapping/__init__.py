"""From a source's row to the canonical record: mappings and masks compiled into closures. Pure; no I/O."""
