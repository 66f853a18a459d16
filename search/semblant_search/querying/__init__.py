"""What a query goes through: its checked request, the picture and region that it is about, the proof, and the fused list."""
