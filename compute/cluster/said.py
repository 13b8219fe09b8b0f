"""Where the lines of workers are logged in the driver."""

SAID = "ritz.said"
"""Logger of the driver for what workers have said; under that of the run, whose log has its lines."""
