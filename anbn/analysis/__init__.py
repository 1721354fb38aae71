"""How one network does what it does: units, maps, rates, machine, failures; and in words."""
