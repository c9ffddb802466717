"""What the console's public pages say: one TOML file per language, all with the same keys."""
