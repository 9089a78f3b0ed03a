"""One module for each library, with the functions that tell the native memory of its objects."""
