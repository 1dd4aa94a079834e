"""What higher areas declare and lower ones call: the composition hands it over."""
