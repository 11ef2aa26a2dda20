"""The log and the wires: an embedded NATS server, its subjects, a lean reader, model packages."""
