"""The wiring of each stage: which folders it reads, and what it does with a shard. `pipeline.graph` declares them."""
