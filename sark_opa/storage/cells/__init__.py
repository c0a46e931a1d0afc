"""Several databases, one organisation in each: which one is whose, and moving an organisation between them."""
