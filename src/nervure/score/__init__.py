"""Scoring: models and anomaly scores on the live stream."""
