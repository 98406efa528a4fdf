"""Where log bytes come from: each input reads, hands over batches, and keeps its position."""
