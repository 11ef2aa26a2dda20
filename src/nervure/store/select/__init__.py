"""Reading SensorThings entities: conditions, pages, expansions, over the catalogue and the observations."""
