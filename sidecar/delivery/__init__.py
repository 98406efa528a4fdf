"""From the outbox to the channels: claim, render, send, classify, record."""
