"""A real Slurm with its database daemon on the loopback: real jobs, collected by the real probe, booked by the real collector."""
