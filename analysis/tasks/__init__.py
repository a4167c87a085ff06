"""What a translation is used for: retrieval, classification, captions, pictures. One file a task."""
