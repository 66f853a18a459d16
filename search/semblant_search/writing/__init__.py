"""From a picture to a point, written once: what an index job writes in bulk is what a client adds one by one."""
