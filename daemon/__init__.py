"""Holdfast: print release and accounting in one asyncio daemon."""

__version__ = "0.1.0"
