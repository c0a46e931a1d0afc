"""What plugins may call of the service: the service's side of `context.host`."""
