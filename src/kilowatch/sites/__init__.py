"""Places and things: sites with their time zone, and the devices in them."""
