"""The store: one writer with group commit, short readers, migrations, backup."""
