"""Gateways, decoders and screening: what devices send becomes columns of readings, or quarantine."""
