"""Faults: what is done to a running platform, and whether it lost, doubled or forgot anything."""
