"""Twins: simulators behind one protocol, each in its own process, speaking MQTT like a field gateway."""
