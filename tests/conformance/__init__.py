"""Black-box tests of OGC SensorThings 1.1, by HTTP and MQTT, against a node in its own process."""
