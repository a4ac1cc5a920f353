"""Many LoRAs trained at once, each as if alone."""
