"""A local stand-in for PagerDuty, Slack and Discord, as strict as they are: for tests and for the demonstration.

It knows nothing of the daemon: what it enforces comes from the services' documentation alone.
"""
