"""From a source archive to standardised images: one small module per source, and shared functions next to them."""
