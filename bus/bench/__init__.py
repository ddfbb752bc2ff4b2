"""`bus bench`: the pipeline beside a raw aiokafka copy of the same topic, in one run on one machine."""
