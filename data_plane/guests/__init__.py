"""The platform's side of guest workers: start them, find them again, speak with them, end them."""
