"""What runs in the zygote and in plugins' processes; nothing here may import the service's side."""
