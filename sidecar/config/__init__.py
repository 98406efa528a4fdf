"""Reading, checking and describing the configuration."""
