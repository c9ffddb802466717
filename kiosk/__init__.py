"""The program on a terminal: readers, screen, and its line to the daemon."""
