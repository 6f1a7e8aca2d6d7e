"""What is said of the federation's sources and services."""
