"""Holdfast: print release and accounting in one asyncio daemon."""
