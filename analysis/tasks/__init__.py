"""What a translation is used for: retrieval, classification, captions, pictures. One file or folder a task."""
