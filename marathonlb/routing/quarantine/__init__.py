"""The quarantine: services that HAProxy refused, and the search for the one that makes HAProxy fail. Pure."""
