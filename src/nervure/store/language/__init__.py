"""The query language of SensorThings: what ``$filter``, ``$orderby`` and ``$expand`` say, as data."""
