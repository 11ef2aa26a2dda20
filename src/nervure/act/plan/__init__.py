"""Plans of maintenance: from remaining lives to a work list and a schedule."""
