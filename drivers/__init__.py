"""What devices can say and what they can be told, and how to reach them. Knows nobody else."""
