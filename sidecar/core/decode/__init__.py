"""From the bytes of one stream to its records."""
