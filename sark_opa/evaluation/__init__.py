"""The use-cases behind the routes: facts, holds, accounts; deadlines live here."""
