"""Whether acting is safe: hostile proposals, a hostile wire, a platform that dies."""
