"""Pages for people: password links and the console."""
