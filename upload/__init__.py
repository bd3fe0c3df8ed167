"""The Hub folder (Parquet shards and card) and getting it safely to the Hub."""
