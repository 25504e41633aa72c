"""What several machines would carry, simulated from what one was measured to need: the tables of docs/scaling.md."""
