"""What the runs show: paired statistics and pictures."""
