"""What an operator sees: the Textual app, one module a tab. No SQL, no subprocess."""
