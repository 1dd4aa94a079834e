"""Every debit and credit of the product, one module an area."""
