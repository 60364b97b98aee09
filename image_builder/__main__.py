"""`python -m image_builder` is the console command."""

from image_builder.cli import main

main()
