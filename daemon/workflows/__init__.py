"""The verbs, one per file, each joining several features in one write."""
