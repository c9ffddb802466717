"""Benchmarks: what is promised about speed, measured against a peer or a limit in one run. `./run bench` runs them."""
