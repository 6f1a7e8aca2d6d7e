"""Reports on time: made when due, delivered, and missed when they are not."""
