"""The web studio: one page, a JSON API and an event stream over the studio's use-cases."""
