"""Acting: rules over findings, alerts, and their delivery."""
