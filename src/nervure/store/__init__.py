"""What is kept: the catalogue in SQL, observations in Delta Lake and a tail in memory, queries over both."""
