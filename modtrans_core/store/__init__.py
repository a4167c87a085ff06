"""Files of pair sets: headers, rows on disk, names, and writing that is whole or not there."""
