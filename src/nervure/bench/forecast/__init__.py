"""The forecasting report: every model and baseline on every set, resumable, then tables and prose."""
