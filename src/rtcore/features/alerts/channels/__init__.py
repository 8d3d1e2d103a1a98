"""Ways out of the system: a webhook, Slack, an SMS gateway, a mail server."""
