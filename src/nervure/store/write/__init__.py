"""Writing SensorThings entities: what a request says, checked and kept in one transaction."""
