"""How much each path may carry now: caps, rates, windows, ramps, hours. Pure."""
