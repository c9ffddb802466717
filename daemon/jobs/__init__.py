"""What happens to a job? Ticket, lifecycle, spool, document analysis."""
