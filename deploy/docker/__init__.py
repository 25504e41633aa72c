"""What runs inside containers only."""
