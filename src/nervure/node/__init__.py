"""Composition: wires the rooms into one process."""
