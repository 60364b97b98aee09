"""The rules of building images, as functions and values: nothing here waits for anything or reads a clock."""
