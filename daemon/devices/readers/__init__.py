"""Card readers: keystrokes and APDUs (pure), and the devices themselves."""
