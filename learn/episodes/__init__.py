"""Few-shot episodes: drawing them, keeping them, sharing them."""
