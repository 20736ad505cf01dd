"""DNS providers: each implements `ports.zones.ZoneEditor` by the provider's own protocol."""
