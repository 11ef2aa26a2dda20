"""Measured proof: the demo's scenario, evaluation reports and speed side by side with peers."""
