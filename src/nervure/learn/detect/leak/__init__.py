"""Leaks and bursts in water networks: simulate, detect, name the place, tell a burst, rank the pipes."""
