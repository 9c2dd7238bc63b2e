"""What a reader sees: pictures, pages, README."""
