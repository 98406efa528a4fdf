"""Events to log lines and counters; metrics, health, and the listener that shows them."""
