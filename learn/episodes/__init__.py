"""Few-shot episodes: draw, store and share them."""
