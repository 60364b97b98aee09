"""What callers can have done, a module each: here is what waits for the outside, the rules are the domain's."""
