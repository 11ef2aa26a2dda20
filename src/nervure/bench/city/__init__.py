"""The demo of a city: twins in the field, a node, controllers joined to its loops, and what came of it."""
