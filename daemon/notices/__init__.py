"""Mail: templates and the durable outbox."""
