"""From objects to numbers: data, nets, updates, measures, and where each number comes from."""
