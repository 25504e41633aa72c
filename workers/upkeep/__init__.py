"""What housekeeping does, one module per thing that must not grow for ever. Called by `workers.housekeeping`."""
