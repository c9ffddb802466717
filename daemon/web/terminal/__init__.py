"""The terminal API: what a device-side terminal may ask, signed by its own key."""
