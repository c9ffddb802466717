"""People: users, their profiles and credentials as an admin sees them."""
