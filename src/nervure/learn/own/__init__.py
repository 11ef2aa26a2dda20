"""Files of one's own: any table of readings in long format, to a data set that models learn from."""
