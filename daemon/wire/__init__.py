"""Messages between a terminal and the daemon, and their signing. Pure."""
