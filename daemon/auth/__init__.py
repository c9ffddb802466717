"""Who is it? PINs, passwords, cards, sessions, lockout, permissions."""
