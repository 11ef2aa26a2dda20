"""The nouns, as frozen Structs, with units, time, windows, the calendar, settings and errors."""
