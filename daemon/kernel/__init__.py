"""Shared vocabulary: money, ids, clock, errors, events. Pure."""
