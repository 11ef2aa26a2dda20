"""Speed, measured beside peers and the machine's own limits, each bench in one run."""
