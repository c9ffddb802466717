"""What runs inside the document worker: confined, one process per document, nothing but its pipes."""
