"""Token shards on disk into packed batches."""
