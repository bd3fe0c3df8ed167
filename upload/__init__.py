"""Build, check, publish and preview a Hub folder (Parquet shards and card)."""
