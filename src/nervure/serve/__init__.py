"""HTTP: health, metrics, alerts, and the catalogue and its readings as OGC SensorThings 1.1."""
