"""The Internet Printing Protocol as data: codec, registry, requests, replies. Pure."""
