"""What the studio can do, for every face alike: use-cases, fair queue, limits, delivery."""
