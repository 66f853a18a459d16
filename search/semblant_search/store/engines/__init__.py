"""What a store is kept in: one folder for each engine, and what they share."""
