"""Networks on atoms and the bonds or distances between them."""
