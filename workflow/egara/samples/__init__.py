"""Sample images of the base model, with and without LoRAs."""
