"""Taking a version away: as a folder that other libraries load, with a card."""
