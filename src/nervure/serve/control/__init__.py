"""The control API: users, tokens, devices, projects, models, alerts and the audit, at ``/api``."""
