"""What mails say: one TOML file per language, all with the same keys."""
