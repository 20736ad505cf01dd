"""What each HTTP method does. Each gives a response, or raises what `services.dav.errors` knows."""
