"""Front doors: listeners, IPP, the JSON API, the terminal API."""
